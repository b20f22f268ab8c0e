//! Who feeds whom.

use std::collections::{HashMap, HashSet};

/// The links between parts, which are known by number. What is asked of one part costs what its own links do.
#[derive(Default)]
pub(crate) struct Links {
    /// In the order in which they came.
    all: Vec<(usize, usize)>,
    known: HashSet<(usize, usize)>,
    /// Of each part, those that it feeds, and those that feed it.
    behind: HashMap<usize, Vec<usize>>,
    before: HashMap<usize, Vec<usize>>,
}

impl Links {
    pub(crate) fn all(&self) -> &[(usize, usize)] {
        &self.all
    }

    pub(crate) fn contains(&self, from: usize, to: usize) -> bool {
        self.known.contains(&(from, to))
    }

    /// Adds a link that is not there.
    pub(crate) fn add(&mut self, from: usize, to: usize) {
        self.all.push((from, to));
        self.known.insert((from, to));
        self.behind.entry(from).or_default().push(to);
        self.before.entry(to).or_default().push(from);
    }

    /// Those that begin or end at a part.
    pub(crate) fn of(&self, part: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let [behind, before] = [&self.behind, &self.before].map(|links| links.get(&part).into_iter().flatten());
        behind.map(move |&to| (part, to)).chain(before.map(move |&from| (from, part)))
    }

    /// A way from one part to another along the links, both included.
    ///
    /// It is searched from both ends by turns, until the smaller side comes to its end: a pipeline is linked from one end to the
    /// other, as a rule, and then that side is a single part.
    pub(crate) fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        if from == to {
            return Some(vec![from]);
        }
        let (mut ahead, mut back) = (Search::at(from), Search::at(to));
        loop {
            // A side that has come to its end without the other has met nothing.
            let met = match ahead.step(&self.behind, &back)? {
                Some(met) => met,
                None => match back.step(&self.before, &ahead)? {
                    Some(met) => met,
                    None => continue,
                },
            };
            let mut path = ahead.way_to(met);
            path.reverse();
            path.extend(back.way_to(met).into_iter().skip(1));
            return Some(path);
        }
    }
}

/// What can be reached from one part.
struct Search {
    /// Of each part that was reached, the one from which; of the first, itself.
    came_from: HashMap<usize, usize>,
    next: Vec<usize>,
}

impl Search {
    fn at(part: usize) -> Self {
        Self { came_from: HashMap::from([(part, part)]), next: vec![part] }
    }

    /// Goes on from one part; `None` if there is none. The answer is one that the other search has reached, too.
    fn step(&mut self, links: &HashMap<usize, Vec<usize>>, other: &Self) -> Option<Option<usize>> {
        let at = self.next.pop()?;
        for &after in links.get(&at).into_iter().flatten() {
            if self.came_from.contains_key(&after) {
                continue;
            }
            self.came_from.insert(after, at);
            if other.came_from.contains_key(&after) {
                return Some(Some(after));
            }
            self.next.push(after);
        }
        Some(None)
    }

    /// From a part that was reached back to the first.
    fn way_to(&self, part: usize) -> Vec<usize> {
        let mut way = vec![part];
        let mut at = part;
        while let Some(&before) = self.came_from.get(&at).filter(|before| **before != at) {
            way.push(before);
            at = before;
        }
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By matrix: what can be reached from each.
    fn reachable(links: &[(usize, usize)]) -> [[bool; 8]; 8] {
        let mut reach = [[false; 8]; 8];
        (0..8).for_each(|part| reach[part][part] = true);
        links.iter().for_each(|&(from, to)| reach[from][to] = true);
        for via in 0..8 {
            for from in 0..8 {
                for to in 0..8 {
                    reach[from][to] |= reach[from][via] && reach[via][to];
                }
            }
        }
        reach
    }

    proptest! {
        #[test]
        fn a_path_is_found_exactly_where_there_is_one_and_it_goes_along_the_links(
            wanted in prop::collection::vec((0..8_usize, 0..8_usize), 0..24),
        ) {
            let mut links = Links::default();
            for (from, to) in wanted {
                let reach = reachable(links.all());
                for (a, b) in (0..8).flat_map(|a| (0..8).map(move |b| (a, b))) {
                    let path = links.path(a, b);
                    prop_assert_eq!(path.is_some(), reach[a][b], "{} to {} along {:?}", a, b, links.all());
                    if let Some(path) = path {
                        prop_assert_eq!((path[0], path[path.len() - 1]), (a, b));
                        prop_assert!(path.windows(2).all(|pair| links.contains(pair[0], pair[1])), "{:?}", path);
                    }
                }
                if !reach[to][from] && !links.contains(from, to) {
                    links.add(from, to);
                }
                let mut of: Vec<_> = links.of(from).collect();
                let mut all: Vec<_> = links.all().iter().copied().filter(|link| link.0 == from || link.1 == from).collect();
                of.sort_unstable();
                all.sort_unstable();
                prop_assert_eq!(of, all);
            }
        }
    }
}
