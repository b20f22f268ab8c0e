//! The attributes of one metric, as they end a line.

use backpressure_core::Family;

use super::escape::escape;

/// As many values are kept. The metrics of this workspace have no more; of links, which have more, the last are.
const MOST: usize = 16;

/// The values of a metric's attribute, escaped once rather than for each part.
pub(super) struct Tails<'a> {
    /// `,name="`
    name: String,
    /// The values, by address, and what they are in the text.
    known: Vec<(&'a str, Vec<u8>)>,
    /// Where the next one is, if values come in the same order again.
    next: usize,
}

impl<'a> Tails<'a> {
    pub(super) fn new(family: &Family) -> Self {
        Self { name: format!(",{}=\"", family.attribute.replace('.', "_")), known: Vec::new(), next: 0 }
    }

    /// The attribute with this value: `,name="value"`.
    #[inline]
    pub(super) fn of(&mut self, value: &'a str) -> &[u8] {
        let is_same = |known: &(&str, Vec<u8>)| std::ptr::eq(known.0, value);
        let place = match self.known.get(self.next) {
            Some(known) if is_same(known) => self.next,
            _ => self.known.iter().position(is_same).unwrap_or_else(|| self.learn(value)),
        };
        self.next = if place + 1 < self.known.len() { place + 1 } else { 0 };
        &self.known[place].1
    }

    fn learn(&mut self, value: &'a str) -> usize {
        if self.known.len() < MOST {
            self.known.push((value, Vec::new()));
            self.next = self.known.len() - 1;
        }
        let (known, text) = &mut self.known[self.next];
        *known = value;
        text.clear();
        text.extend_from_slice(self.name.as_bytes());
        escape(text, value);
        text.push(b'"');
        self.next
    }
}
