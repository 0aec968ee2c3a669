//! Which simulated launch is which measured one: by name, shape and order.

use super::kernel_name::bare;
use super::{Launch, Map};
use std::collections::BTreeMap;

/// Cells of the table of common orders at most: 64 MiB.
const CELLS_MAX: usize = 1 << 24;

/// Simulated launches (several where a mean was measured) and a measured one.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Places of the simulated ones.
    pub simulated: Vec<usize>,
    /// Place of the measured one.
    pub measured: usize,
}

/// All matches, and what is left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// Matches, in the order of the profile.
    pub matches: Vec<Match>,
    /// `name` or `order`.
    pub by: &'static str,
    /// Simulated launches that are left.
    pub only_simulated: Vec<usize>,
    /// Measured launches that are left.
    pub only_measured: Vec<usize>,
}

/// Whether shapes do not contradict each other.
fn same_shape(a: &Launch, b: &Launch) -> bool {
    let same = |a: Option<[u32; 3]>, b: Option<[u32; 3]>| match (a, b) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    same(a.grid, b.grid) && same(a.block, b.block)
}

/// Which launches are of one kernel and one shape.
struct Alike<'a> {
    simulated: &'a [Launch],
    measured: &'a [Launch],
    /// Numbers of the names of both sides.
    names: [Vec<usize>; 2],
}

impl<'a> Alike<'a> {
    fn of(simulated: &'a [Launch], measured: &'a [Launch], map: &Map) -> Self {
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let mut number = |name: String| {
            let next = known.len();
            *known.entry(name).or_insert(next)
        };
        let own = simulated.iter().map(|launch| {
            let said = map.kernels.get(&launch.name);
            let said = said.or_else(|| map.kernels.get(&bare(&launch.name)));
            number(bare(said.unwrap_or(&launch.name)))
        });
        let own = own.collect();
        let theirs = measured.iter().map(|launch| number(bare(&launch.name)));
        let theirs = theirs.collect();
        Alike {
            simulated,
            measured,
            names: [own, theirs],
        }
    }

    fn is(&self, simulated: usize, measured: usize) -> bool {
        self.names[0][simulated] == self.names[1][measured]
            && same_shape(&self.simulated[simulated], &self.measured[measured])
    }

    /// Whether as many launches were simulated as measured that are like the measured one at `at`.
    fn as_many(&self, at: usize) -> bool {
        let own = (0..self.simulated.len()).filter(|n| self.is(*n, at));
        let theirs = (0..self.measured.len()).filter(|n| {
            self.names[1][*n] == self.names[1][at]
                && same_shape(&self.measured[*n], &self.measured[at])
        });
        own.count() == theirs.count()
    }

    /// For each measured launch its partner in the longest order that both sides have in common; none at all where a
    /// table of both would take too much memory.
    fn in_order(&self) -> Vec<Option<usize>> {
        let (own, theirs) = (self.simulated.len(), self.measured.len());
        let mut partners = vec![None; theirs];
        let wide = theirs + 1;
        if (own + 1).saturating_mul(wide) > CELLS_MAX {
            return partners;
        }
        let mut longest = vec![0u32; (own + 1) * wide];
        for a in (0..own).rev() {
            for b in (0..theirs).rev() {
                longest[a * wide + b] = match self.is(a, b) {
                    true => longest[(a + 1) * wide + b + 1] + 1,
                    false => longest[(a + 1) * wide + b].max(longest[a * wide + b + 1]),
                };
            }
        }
        let (mut a, mut b) = (0, 0);
        while a < own && b < theirs {
            if self.is(a, b) {
                partners[b] = Some(a);
                (a, b) = (a + 1, b + 1);
            } else if longest[(a + 1) * wide + b] >= longest[a * wide + b + 1] {
                a += 1;
            } else {
                b += 1;
            }
        }
        partners
    }
}

/// Matches by name: launches of a kernel in their order, and where one side has more of them than the other, along the
/// longest order that both sides have in common. Where not one name is common to both, by order alone, when both have as
/// many launches, of the same shapes.
pub fn find(simulated: &[Launch], measured: &[Launch], map: &Map) -> Matches {
    let alike = Alike::of(simulated, measured, map);
    if let Some(matches) = by_order(&alike, map) {
        return Matches {
            matches,
            by: "order",
            ..Matches::default()
        };
    }
    // Long profiles have few kinds of launches.
    let mut even = BTreeMap::new();
    let mut is_even = |at: usize| {
        let launch = &measured[at];
        let kind = (alike.names[1][at], launch.grid, launch.block);
        *even.entry(kind).or_insert_with(|| alike.as_many(at))
    };
    let uneven: Vec<bool> = (0..measured.len())
        .map(|at| !measured[at].is_mean && !is_even(at))
        .collect();
    let in_order = match uneven.contains(&true) {
        true => alike.in_order(),
        false => vec![None; measured.len()],
    };
    let mut taken = vec![false; simulated.len()];
    let mut partners: Vec<Vec<usize>> = vec![Vec::new(); measured.len()];
    for at in (0..measured.len()).filter(|at| uneven[*at]) {
        partners[at].extend(in_order[at]);
        partners[at].iter().for_each(|n| taken[*n] = true);
    }
    let mut found = Matches {
        by: "name",
        ..Matches::default()
    };
    for (at, mut of_launch) in partners.into_iter().enumerate() {
        if of_launch.is_empty() {
            let free = (0..simulated.len()).filter(|n| !taken[*n] && alike.is(*n, at));
            let most = if measured[at].is_mean { usize::MAX } else { 1 };
            of_launch = free.take(most).collect();
        }
        if of_launch.is_empty() {
            found.only_measured.push(at);
            continue;
        }
        of_launch.iter().for_each(|n| taken[*n] = true);
        found.matches.push(Match {
            simulated: of_launch,
            measured: at,
        });
    }
    found.only_simulated = (0..simulated.len()).filter(|n| !taken[*n]).collect();
    found
}

/// Matches one by one, where no name says anything and every shape fits.
fn by_order(alike: &Alike<'_>, map: &Map) -> Option<Vec<Match>> {
    let (simulated, measured) = (alike.simulated, alike.measured);
    let none = !alike.names[0]
        .iter()
        .any(|name| alike.names[1].contains(name));
    let mut pairs = simulated.iter().zip(measured);
    let fits = none
        && map.kernels.is_empty()
        && simulated.len() == measured.len()
        && pairs.all(|(a, b)| !b.is_mean && b.grid.is_some() && same_shape(a, b));
    let pair = |at| Match {
        simulated: vec![at],
        measured: at,
    };
    fits.then(|| (0..simulated.len()).map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(name: &str, grid: u32) -> Launch {
        Launch {
            name: name.into(),
            grid: Some([grid, 1, 1]),
            block: Some([128, 1, 1]),
            ..Launch::default()
        }
    }

    fn places(matches: &Matches) -> Vec<(usize, usize)> {
        matches
            .matches
            .iter()
            .map(|m| (m.simulated[0], m.measured))
            .collect()
    }

    #[test]
    fn launches_of_one_kernel_are_told_apart_by_shape_and_order() {
        let own = [launch("a", 8), launch("a", 16), launch("a", 8)];
        let theirs = [
            launch("a(int)", 16),
            launch("a(int)", 8),
            launch("a(int)", 8),
            launch("a(int)", 4),
        ];
        let found = find(&own, &theirs, &Map::default());
        assert_eq!(places(&found), [(1, 0), (0, 1), (2, 2)]);
        assert_eq!(found.only_measured, [3]);
    }

    #[test]
    fn repeated_kernels_are_matched_along_the_order_of_the_others() {
        let launches = |names: &str| -> Vec<Launch> {
            names
                .chars()
                .map(|name| launch(&name.to_string(), 8))
                .collect()
        };
        let found = |own: &str, theirs: &str| {
            let found = find(&launches(own), &launches(theirs), &Map::default());
            (places(&found), found.only_simulated, found.only_measured)
        };
        let pairs = vec![(1, 0), (2, 1), (3, 2)];
        assert_eq!(found("abac", "bac"), (pairs, vec![0], vec![]));
        let pairs = vec![(0, 1), (1, 2), (2, 3)];
        assert_eq!(found("bac", "abac"), (pairs, vec![], vec![0]));
        // As many of each in another order, and one that only another order has.
        assert_eq!(found("ab", "ba"), (vec![(1, 0), (0, 1)], vec![], vec![]));
        assert_eq!(found("aac", "ca"), (vec![(2, 0), (0, 1)], vec![1], vec![]));
    }

    #[test]
    fn other_names_are_matched_by_order_only_where_every_shape_fits() {
        let own = [launch("a", 8), launch("b", 16)];
        let theirs = [launch("x", 8), launch("y", 16)];
        let found = find(&own, &theirs, &Map::default());
        assert_eq!((found.by, places(&found)), ("order", vec![(0, 0), (1, 1)]));
        let other = [launch("x", 8), launch("y", 17)];
        assert_eq!(find(&own, &other, &Map::default()).matches, []);
    }

    #[test]
    fn a_map_says_which_kernel_is_which() {
        let map = Map {
            kernels: [("a".to_owned(), "ampere_sgemm<4>".to_owned())].into(),
            ..Map::default()
        };
        let found = find(
            &[launch("a", 8)],
            &[launch("void ampere_sgemm<4>(float*)", 8)],
            &map,
        );
        assert_eq!(places(&found), [(0, 0)]);
    }
}
