//! Laws of the list scheduler on random regions, and schedules that can be derived by hand.

use super::list::{Around, Graph, Held, Node, cycles, peak, schedule};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn word(value: u32) -> Held {
    Held { value, words: 1 }
}

/// A node of one slot that reads some values and writes one.
fn node(writes: u32, reads: &[u32]) -> Node {
    Node {
        issue: 1,
        reads: reads.iter().map(|&value| word(value)).collect(),
        writes: vec![word(writes)],
    }
}

/// Regions of values that are written once: node `n` writes value `n` and reads earlier ones.
fn region() -> impl Strategy<Value = (Graph, Around, u32)> {
    let one = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        0u32..40,
        0u32..2,
    );
    let nodes = prop::collection::vec(one, 1..60);
    (nodes, 0u32..24).prop_map(|(list, budget)| {
        let mut graph = Graph::default();
        for (n, (sources, latency, issue)) in list.iter().enumerate() {
            let reads: Vec<u32> = match n {
                0 => Vec::new(),
                _ => sources.iter().map(|i| i.index(n) as u32).collect(),
            };
            for &read in &reads {
                graph.after[read as usize].insert(n as u32, *latency);
            }
            graph.nodes.push(Node {
                issue: *issue,
                ..node(n as u32, &reads)
            });
            graph.after.push(BTreeMap::new());
        }
        let around = Around {
            before: vec![word(1000)],
            behind: [1000, list.len() as u32 - 1].into(),
        };
        (graph, around, budget)
    })
}

proptest! {
    /// Every node comes once, behind all that it depends on; no more registers than the budget or the given
    /// order holds, and no more time than that order.
    #[test]
    fn a_schedule_keeps_dependences_budget_and_time((graph, around, budget) in region()) {
        let order = schedule(&graph, &around, budget);
        let given: Vec<u32> = (0..graph.nodes.len() as u32).collect();
        let mut place = vec![None; graph.nodes.len()];
        for (at, &n) in order.iter().enumerate() {
            prop_assert!(place[n as usize].replace(at).is_none());
        }
        for (n, next) in graph.after.iter().enumerate() {
            for &to in next.keys() {
                prop_assert!(place[n].is_some() && place[n] < place[to as usize]);
            }
        }
        prop_assert!(peak(&graph, &around, &order) <= budget.max(peak(&graph, &around, &given)));
        prop_assert!(cycles(&graph, &order) <= cycles(&graph, &given));
        prop_assert_eq!(&order, &schedule(&graph, &around, budget));
    }
}

/// Four times a load of 29 cycles and an addition of 4 to a sum.
fn sums() -> (Graph, Around) {
    let mut graph = Graph::default();
    for i in 0..4 {
        let (load, add) = (2 * i, 2 * i + 1);
        let sum = if i == 0 { 100 } else { 2 * i - 1 };
        graph.nodes.push(node(load, &[101]));
        graph.nodes.push(node(add, &[load, sum]));
        graph.after.push([(add, 29)].into());
        graph.after.push(BTreeMap::new());
        if i > 0 {
            graph.after[sum as usize].insert(add, 4);
        }
    }
    let around = Around {
        before: vec![word(100), word(101)],
        behind: [101, 7].into(),
    };
    (graph, around)
}

/// In the order of the source each addition waits 29 cycles for its own load: 4 x 30. With all loads in front, at
/// 0 to 3, the additions go at 29, 33, 37 and 41.
#[test]
fn loads_go_first() {
    let (graph, around) = sums();
    assert_eq!(cycles(&graph, &[0, 1, 2, 3, 4, 5, 6, 7]), 120);
    let order = schedule(&graph, &around, 16);
    assert_eq!(order, [0, 2, 4, 6, 1, 3, 5, 7]);
    assert_eq!(cycles(&graph, &order), 42);
    // A sum, an address, four words that were loaded.
    assert_eq!(peak(&graph, &around, &order), 6);
}

/// With four registers two loads can be under way: they go at 0 and 1, the additions at 29 and 33. The third load
/// takes the register that the first addition frees, at 30, the fourth that of the second, at 34.
#[test]
fn a_budget_holds_loads_back() {
    let (graph, around) = sums();
    let order = schedule(&graph, &around, 4);
    assert_eq!(order, [0, 2, 1, 4, 3, 6, 5, 7]);
    assert_eq!(peak(&graph, &around, &order), 4);
    assert_eq!(cycles(&graph, &order), 64);
}
