//! The metrics of a text, each once.

use std::collections::HashMap;

use backpressure_core::Family;

use super::block::Block;
use super::format::Format;
use super::name::exposed_name;

/// The metrics, in the order in which they came up.
pub(super) struct Blocks<'a> {
    format: Format,
    blocks: Vec<Block<'a>>,
    /// Where they are, by the address of the family: looked up where they do not come in the order of the ones before.
    places: HashMap<usize, usize>,
    by_name: HashMap<String, usize>,
    /// Parts of one kind have the same metrics, in the same order.
    expected: usize,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(format: Format) -> Self {
        Self { format, blocks: Vec::new(), places: HashMap::new(), by_name: HashMap::new(), expected: 0 }
    }

    /// The block of this metric; `None` if another one has its name.
    #[inline]
    pub(super) fn of(&mut self, family: &'static Family) -> Option<&mut Block<'a>> {
        let hits = |block: &Block<'_>| std::ptr::eq(block.family, family);
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
        let place = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.blocks.push(Block::new(family, name, self.format));
            self.blocks.len() - 1
        });
        self.places.insert(address, place);
        place
    }

    /// The whole text.
    pub(super) fn into_pieces(self) -> Vec<Vec<u8>> {
        let mut pieces: Vec<_> = self.blocks.into_iter().flat_map(Block::into_pieces).collect();
        if self.format == Format::OpenMetrics {
            pieces.push(b"# EOF\n".to_vec());
        }
        pieces
    }
}
