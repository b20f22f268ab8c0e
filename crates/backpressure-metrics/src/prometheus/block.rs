//! The lines of one metric.

use std::io::Write;
use std::sync::LazyLock;

use backpressure_core::{Durations, Family, MetricKind, MetricValue};

use super::escape::escape;
use super::format::Format;
use super::name::exposed_unit;
use super::number::{MOST_DIGITS, push_count, push_number};
use super::pieces::Pieces;
use super::tails::Tails;
use crate::series::Series;

/// What is said about a metric fits into this, as a rule.
const ABOUT: usize = 256;

/// The lines of one metric, below what is said about it.
pub(super) struct Block<'a> {
    pub(super) family: &'static Family,
    /// What a line begins with, up to the name of the part.
    head: Head,
    tails: Tails<'a>,
    text: Pieces,
}

enum Head {
    Sample(Vec<u8>),
    Histogram { bucket: Vec<u8>, sum: Vec<u8>, count: Vec<u8> },
}

impl<'a> Block<'a> {
    /// Of a metric of this name, which has no `_total` yet.
    pub(super) fn new(family: &'static Family, name: &str, format: Format) -> Self {
        let sample = if family.kind == MetricKind::Counter { format!("{name}_total") } else { name.to_owned() };
        let is_open = format == Format::OpenMetrics;
        let of_family = if is_open { name } else { &sample };
        let mut text = Pieces::default();
        write_about(text.room(ABOUT), family, of_family, is_open);
        let head = |suffix| format!("{sample}{suffix}{{stage=\"").into_bytes();
        let head = if family.kind == MetricKind::Histogram {
            Head::Histogram { bucket: head("_bucket"), sum: head("_sum"), count: head("_count") }
        } else {
            Head::Sample(head(""))
        };
        Self { family, head, tails: Tails::new(family), text }
    }

    /// The lines of one value, of a part whose name and the quote behind it are the `label`.
    pub(super) fn push(&mut self, label: &[u8], series: &Series<'a>) {
        let tail = series.attribute.map_or(&[][..], |(_, value)| self.tails.of(value));
        match (&self.head, &series.value) {
            (Head::Sample(head), MetricValue::Count(count)) => {
                push_count(begin(&mut self.text, head, label, tail), *count);
            }
            (Head::Sample(head), MetricValue::Number(number)) => {
                push_number(begin(&mut self.text, head, label, tail), *number);
            }
            (Head::Histogram { bucket, sum, count }, MetricValue::Durations(durations)) => {
                let mut so_far = 0;
                for (edge, in_bucket) in EDGES.iter().zip(durations.buckets()) {
                    so_far += in_bucket;
                    push_count(line(&mut self.text, [bucket, label, tail, edge.as_bytes()]), so_far);
                }
                push_number(begin(&mut self.text, sum, label, tail), durations.sum().as_secs_f64());
                push_count(begin(&mut self.text, count, label, tail), so_far);
            }
            // A value of another kind than its metric's says nothing.
            _ => {}
        }
    }

    pub(super) fn into_pieces(self) -> Vec<Vec<u8>> {
        self.text.into_vec()
    }
}

/// What is said about a metric once.
fn write_about(text: &mut Vec<u8>, family: &Family, name: &str, is_open: bool) {
    let kind = match family.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
        _ => "untyped",
    };
    let _ = write!(text, "# HELP {name} ");
    if is_open {
        escape(text, family.help);
    } else {
        text.extend_from_slice(family.help.replace('\\', "\\\\").replace('\n', "\\n").as_bytes());
    }
    let _ = write!(text, "\n# TYPE {name} {kind}\n");
    if let Some(unit) = exposed_unit(family).filter(|_| is_open) {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
}

/// A line up to its value.
#[inline]
fn begin<'t>(text: &'t mut Pieces, head: &[u8], label: &[u8], tail: &[u8]) -> &'t mut Vec<u8> {
    line(text, [head, label, tail, b"} "])
}

#[inline]
fn line<'t>(text: &'t mut Pieces, parts: [&[u8]; 4]) -> &'t mut Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let text = text.room(length + MOST_DIGITS + 1);
    parts.iter().for_each(|part| text.extend_from_slice(part));
    text
}

/// What comes between a part and the count of a bucket: its upper edge.
static EDGES: LazyLock<[String; Durations::EDGES.len() + 1]> = LazyLock::new(|| {
    let mut edges = Durations::EDGES.into_iter().map(|edge| format!(",le=\"{edge:?}\"}} "));
    std::array::from_fn(|_| edges.next().unwrap_or_else(|| ",le=\"+Inf\"} ".into()))
});
