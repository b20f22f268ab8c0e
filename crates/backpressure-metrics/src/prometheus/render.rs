//! The text itself.

use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;

use backpressure_core::{Durations, Family, MetricKind, MetricValue};

use super::format::Format;
use super::name::{exposed_name, exposed_unit};
use super::number::{push_count, push_number};
use crate::observation::Observation;
use crate::series::Series;

/// Renders an observation. Every metric stands there once, with all its values.
pub fn render(observation: &Observation, format: Format) -> String {
    let mut blocks =
        Blocks { format, blocks: Vec::new(), places: HashMap::new(), by_name: HashMap::new(), expected: 0 };
    let mut labels = Vec::new();
    let mut stage = None;
    // From the inside, which costs half of what a loop over so many chained iterators does.
    observation.series().for_each(|series| {
        if stage != Some(series.stage.as_ptr()) {
            stage = Some(series.stage.as_ptr());
            labels.clear();
            labels.extend_from_slice(b"{stage=\"");
            escape(&mut labels, series.stage);
            labels.push(b'"');
        }
        if let Some(block) = blocks.of(series.family) {
            block.push(&labels, &series);
        }
    });
    blocks.join()
}

/// The metrics, in the order in which they came up.
struct Blocks {
    format: Format,
    blocks: Vec<Block>,
    /// Where they are, by the address of the family: looked up where they do not come in the order of the ones before.
    places: HashMap<usize, usize>,
    by_name: HashMap<String, usize>,
    /// Parts of one kind have the same metrics, in the same order.
    expected: usize,
}

struct Block {
    family: &'static Family,
    /// The name of a sample.
    name: String,
    /// The name of the family's attribute, up to where its value begins.
    attribute: String,
    text: Vec<u8>,
}

impl Blocks {
    /// The block of this metric; `None` if another one has its name.
    fn of(&mut self, family: &'static Family) -> Option<&mut Block> {
        let hits = |block: &Block| std::ptr::eq(block.family, family);
        let found =
            [self.expected, self.expected.wrapping_sub(1)].into_iter().find(|&i| self.blocks.get(i).is_some_and(hits));
        let place = match found {
            Some(place) => place,
            None => self.look_up(family),
        };
        self.expected = place + 1;
        Some(&mut self.blocks[place]).filter(|block| std::ptr::eq(block.family, family) || *block.family == *family)
    }

    fn look_up(&mut self, family: &'static Family) -> usize {
        let address = std::ptr::from_ref(family).addr();
        if let Some(&place) = self.places.get(&address) {
            return place;
        }
        let name = exposed_name(family);
        if let Some(&place) = self.by_name.get(&name) {
            self.places.insert(address, place);
            return place;
        }
        let place = self.blocks.len();
        let sample = if family.kind == MetricKind::Counter { format!("{name}_total") } else { name.clone() };
        let mut text = Vec::new();
        let is_open = self.format == Format::OpenMetrics;
        let of_family = if is_open { &name } else { &sample };
        let kind = match family.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            _ => "untyped",
        };
        let _ = write!(&mut text, "# HELP {of_family} ");
        if is_open {
            escape(&mut text, family.help);
        } else {
            text.extend_from_slice(family.help.replace('\\', "\\\\").replace('\n', "\\n").as_bytes());
        }
        let _ = write!(&mut text, "\n# TYPE {of_family} {kind}\n");
        if let Some(unit) = exposed_unit(family).filter(|_| is_open) {
            let _ = writeln!(&mut text, "# UNIT {of_family} {unit}");
        }
        let attribute = format!(",{}=\"", family.attribute.replace('.', "_"));
        self.blocks.push(Block { family, name: sample, attribute, text });
        self.places.insert(address, place);
        self.by_name.insert(name, place);
        place
    }

    fn join(self) -> String {
        let end = if self.format == Format::OpenMetrics { "# EOF\n" } else { "" };
        let length = self.blocks.iter().map(|block| block.text.len()).sum::<usize>() + end.len();
        let mut text = Vec::with_capacity(length);
        self.blocks.into_iter().for_each(|block| text.extend_from_slice(&block.text));
        text.extend_from_slice(end.as_bytes());
        // Whole names with ASCII between them: this cannot fail.
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Block {
    fn push(&mut self, labels: &[u8], series: &Series<'_>) {
        match &series.value {
            MetricValue::Count(count) => {
                self.begin("", labels, series.attribute);
                push_count(&mut self.text, *count);
            }
            MetricValue::Number(number) => {
                self.begin("", labels, series.attribute);
                push_number(&mut self.text, *number);
            }
            MetricValue::Durations(durations) => self.push_durations(labels, series.attribute, durations),
            _ => {}
        }
    }

    fn push_durations(&mut self, labels: &[u8], attribute: Option<(&'static str, &str)>, durations: &Durations) {
        let edges = EDGES.iter().map(String::as_str).chain(["+Inf"]);
        let mut count = 0;
        for (edge, in_bucket) in edges.zip(durations.buckets()) {
            count += in_bucket;
            self.open("_bucket", labels, attribute);
            self.text.extend_from_slice(b",le=\"");
            self.text.extend_from_slice(edge.as_bytes());
            self.text.extend_from_slice(b"\"} ");
            push_count(&mut self.text, count);
        }
        self.begin("_sum", labels, attribute);
        push_number(&mut self.text, durations.sum().as_secs_f64());
        self.begin("_count", labels, attribute);
        push_count(&mut self.text, count);
    }

    fn begin(&mut self, suffix: &str, labels: &[u8], attribute: Option<(&'static str, &str)>) {
        self.open(suffix, labels, attribute);
        self.text.extend_from_slice(b"} ");
    }

    fn open(&mut self, suffix: &str, labels: &[u8], attribute: Option<(&'static str, &str)>) {
        let text = &mut self.text;
        text.extend_from_slice(self.name.as_bytes());
        text.extend_from_slice(suffix.as_bytes());
        text.extend_from_slice(labels);
        if let Some((_, value)) = attribute {
            text.extend_from_slice(self.attribute.as_bytes());
            escape(text, value);
            text.push(b'"');
        }
    }
}

/// The upper edges of the buckets, in words.
static EDGES: LazyLock<[String; Durations::EDGES.len()]> =
    LazyLock::new(|| Durations::EDGES.map(|edge| format!("{edge:?}")));

fn escape(text: &mut Vec<u8>, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        return text.extend_from_slice(value.as_bytes());
    }
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'"' => text.extend_from_slice(b"\\\""),
            b'\n' => text.extend_from_slice(b"\\n"),
            byte => text.push(byte),
        }
    }
}
