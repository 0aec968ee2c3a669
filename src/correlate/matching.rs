//! Which simulated launch is which measured one: by name, shape and order.

use super::kernel_name::bare;
use super::{Launch, Map};

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

/// Matches by name; where not one name is common to both, by order, when both have as many launches, of the same shapes.
pub fn find(simulated: &[Launch], measured: &[Launch], map: &Map) -> Matches {
    let own: Vec<String> = simulated
        .iter()
        .map(|launch| {
            let said = map.kernels.get(&launch.name);
            let said = said.or_else(|| map.kernels.get(&bare(&launch.name)));
            bare(said.unwrap_or(&launch.name))
        })
        .collect();
    let theirs: Vec<String> = measured.iter().map(|launch| bare(&launch.name)).collect();
    let mut taken = vec![false; simulated.len()];
    let mut found = Matches {
        by: "name",
        ..Matches::default()
    };
    for (at, launch) in measured.iter().enumerate() {
        let fits = |n: &usize| own[*n] == theirs[at] && same_shape(&simulated[*n], launch);
        let free: Vec<usize> = (0..simulated.len())
            .filter(|n| !taken[*n])
            .filter(fits)
            .collect();
        let of_launch = match launch.is_mean {
            true => free,
            false => free.into_iter().take(1).collect(),
        };
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
    let none = !own.iter().any(|name| theirs.contains(name));
    let pairs = || simulated.iter().zip(measured);
    if none
        && map.kernels.is_empty()
        && simulated.len() == measured.len()
        && pairs().all(|(a, b)| !b.is_mean && b.grid.is_some() && same_shape(a, b))
    {
        let pair = |at| Match {
            simulated: vec![at],
            measured: at,
        };
        return Matches {
            matches: (0..simulated.len()).map(pair).collect(),
            by: "order",
            ..Matches::default()
        };
    }
    found.only_simulated = (0..simulated.len()).filter(|n| !taken[*n]).collect();
    found
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
