//! The text itself.

use std::collections::HashMap;
use std::fmt::Write;

use backpressure_core::{Durations, Family, MetricKind, MetricValue};

use super::format::Format;
use super::name::{exposed_name, exposed_unit};
use crate::observation::Observation;
use crate::series::Series;

/// Renders an observation. Every metric stands there once, with all its values.
pub fn render(observation: &Observation, format: Format) -> String {
    let mut blocks =
        Blocks { format, blocks: Vec::new(), places: HashMap::new(), by_name: HashMap::new(), expected: 0 };
    let mut labels = String::new();
    let mut stage = None;
    for series in observation.series() {
        if stage != Some(series.stage.as_ptr()) {
            stage = Some(series.stage.as_ptr());
            labels.clear();
            labels.push_str("stage=\"");
            escape(&mut labels, series.stage);
            labels.push('"');
        }
        if let Some(block) = blocks.of(series.family) {
            block.push(&labels, &series);
        }
    }
    blocks.join()
}

/// Room for an attribute and a number, as a rule.
const LONGEST_REST: usize = 96;

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
    /// The name of the family's attribute.
    attribute: String,
    text: String,
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
        let mut text = String::new();
        let is_open = self.format == Format::OpenMetrics;
        let of_family = if is_open { &name } else { &sample };
        let kind = match family.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            _ => "untyped",
        };
        let _ = write!(text, "# HELP {of_family} ");
        if is_open {
            escape(&mut text, family.help);
        } else {
            text.push_str(&family.help.replace('\\', "\\\\").replace('\n', "\\n"));
        }
        let _ = write!(text, "\n# TYPE {of_family} {kind}\n");
        if let Some(unit) = exposed_unit(family).filter(|_| is_open) {
            let _ = writeln!(text, "# UNIT {of_family} {unit}");
        }
        let attribute = family.attribute.replace('.', "_");
        self.blocks.push(Block { family, name: sample, attribute, text });
        self.places.insert(address, place);
        self.by_name.insert(name, place);
        place
    }

    fn join(self) -> String {
        let end = if self.format == Format::OpenMetrics { "# EOF\n" } else { "" };
        let length = self.blocks.iter().map(|block| block.text.len()).sum::<usize>() + end.len();
        let mut text = String::with_capacity(length);
        self.blocks.iter().for_each(|block| text.push_str(&block.text));
        text.push_str(end);
        text
    }
}

impl Block {
    fn push(&mut self, labels: &str, series: &Series<'_>) {
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

    fn push_durations(&mut self, labels: &str, attribute: Option<(&'static str, &str)>, durations: &Durations) {
        let edges = Durations::EDGES.iter().map(|edge| format!("{edge:?}")).chain(["+Inf".into()]);
        let mut count = 0;
        for (edge, in_bucket) in edges.zip(durations.buckets()) {
            count += in_bucket;
            self.open("_bucket", labels, attribute);
            let _ = write!(self.text, ",le=\"{edge}\"}} ");
            push_count(&mut self.text, count);
        }
        self.begin("_sum", labels, attribute);
        push_number(&mut self.text, durations.sum().as_secs_f64());
        self.begin("_count", labels, attribute);
        push_count(&mut self.text, count);
    }

    fn begin(&mut self, suffix: &str, labels: &str, attribute: Option<(&'static str, &str)>) {
        self.open(suffix, labels, attribute);
        self.text.push_str("} ");
    }

    fn open(&mut self, suffix: &str, labels: &str, attribute: Option<(&'static str, &str)>) {
        let text = &mut self.text;
        text.reserve(self.name.len() + labels.len() + LONGEST_REST);
        text.push_str(&self.name);
        text.push_str(suffix);
        text.push('{');
        text.push_str(labels);
        if let Some((_, value)) = attribute {
            text.push(',');
            text.push_str(&self.attribute);
            text.push_str("=\"");
            escape(text, value);
            text.push('"');
        }
    }
}

fn push_count(text: &mut String, count: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = count;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[first..]).unwrap_or_default());
    text.push('\n');
}

fn push_number(text: &mut String, number: f64) {
    if number.fract() == 0.0 && (0.0..1e15).contains(&number) {
        return push_count(text, number as u64);
    }
    let _ = match number {
        f64::INFINITY => writeln!(text, "+Inf"),
        f64::NEG_INFINITY => writeln!(text, "-Inf"),
        _ => writeln!(text, "{number}"),
    };
}

fn escape(text: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        return text.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}
