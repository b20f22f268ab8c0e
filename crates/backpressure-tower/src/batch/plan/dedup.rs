//! Deduplication: equal requests of a batch are sent once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The different requests and, for every request, which of them it is; nothing if no two are equal.
type United<Req> = (Vec<Req>, Option<Vec<usize>>);

/// How requests are united, and how an answer is copied for those who asked for the same.
pub(crate) struct Dedup<Req, Resp> {
    pub(crate) unite: fn(Vec<Req>) -> United<Req>,
    pub(crate) copy: fn(&Resp) -> Resp,
}

impl<Req: Hash + Eq, Resp: Clone> Dedup<Req, Resp> {
    pub(crate) const NEW: Self = Self { unite, copy: Resp::clone };
}

/// Leaves the first of equal requests where it is, and takes out the others.
fn unite<Req: Hash + Eq>(mut requests: Vec<Req>) -> United<Req> {
    if requests.len() < 2 {
        return (requests, None);
    }
    let mut places = Vec::with_capacity(requests.len());
    let mut known = HashMap::with_capacity(requests.len());
    for request in &requests {
        let next = known.len();
        places.push(match known.entry(request) {
            Entry::Occupied(first) => *first.get(),
            Entry::Vacant(new) => *new.insert(next),
        });
    }
    let different = known.len();
    if different == requests.len() {
        return (requests, None);
    }
    let (mut place, mut kept) = (places.iter(), 0);
    requests.retain(|_| {
        let first = place.next() == Some(&kept);
        kept += usize::from(first);
        first
    });
    (requests, Some(places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o1_the_first_of_equals_stays_in_its_place() {
        assert_eq!(unite(vec!['b', 'a', 'b', 'c', 'a']), (vec!['b', 'a', 'c'], Some(vec![0, 1, 0, 2, 1])));
        assert_eq!(unite(vec![1, 2, 3]), (vec![1, 2, 3], None));
        assert_eq!(unite(vec![1]), (vec![1], None));
        assert_eq!(unite(Vec::<u8>::new()), (vec![], None));
    }
}
