//! Places, ways and waiting in the mesh, by hand.

use super::network::distance;
use super::places::Places;
use super::*;
use crate::config::{self, GpuSpec};
use crate::engine::Cycle;
use crate::ids::{SliceId, SmId};
use crate::mem::{Line, Reply, ReplyTo, Request, RequestKind, SectorMask};
use crate::noc::Topology;
use proptest::prelude::*;

/// Five nodes in two rows: SMs 0 and 2 of the first GPC, all slices, SMs 1 and 3 of the second, and a router more.
const SMALL: &[&str] = &[
    "noc.topology=mesh",
    "gpu.sms=4",
    "gpu.gpcs=2",
    "noc.mesh_node_sms=1",
    "noc.mesh_node_slices=64",
    "noc.mesh_hop_latency=3",
    "noc.mesh_link_bytes=72",
    "noc.mesh_interface_latency=40",
];

fn spec(sets: &[&str]) -> GpuSpec {
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    config::load("v100", &sets).unwrap().spec
}

fn mesh(spec: &GpuSpec) -> (Mesh, Topology) {
    let topology = Topology::new(spec);
    (Mesh::new(spec, &topology).unwrap(), topology)
}

fn request(kind: RequestKind, sm: u16, at: Cycle) -> Request {
    Request {
        at,
        sm: SmId(sm),
        ..Request::new(kind, Line(7), SectorMask::ALL, ReplyTo::Fill)
    }
}

fn reply(sm: u16, at: Cycle) -> Reply {
    Reply {
        at,
        line: Line(7),
        to: ReplyTo::Fill,
        sm: SmId(sm),
        slice: SliceId(5),
        kind: RequestKind::Read,
        sectors: SectorMask::ALL,
    }
}

/// Arrivals of requests, by SM.
fn arrivals(mesh: &mut Mesh, topology: &Topology, requests: &[Request]) -> Vec<(u16, Cycle)> {
    for request in requests {
        let gpc = topology.gpc_of[request.sm.index()];
        mesh.ask(*request, gpc, topology);
    }
    std::iter::from_fn(|| mesh.arriving_request(Cycle::MAX))
        .map(|request| (request.sm.0, request.at))
        .collect()
}

#[test]
fn nodes_are_dealt_as_documented() {
    let small = spec(SMALL);
    let places = Places::new(&small, &Topology::new(&small));
    assert_eq!((places.columns, places.routers), (3, 6));
    assert_eq!(places.sms, [0, 3, 1, 4]);
    assert_eq!(places.slices, [2; 64]);
    // V100: 40 nodes of two SMs and 16 of four slices, seven rows of eight; 56 (2m + 1) / 32 is 1, 5, 8, 12, ...
    let chip = spec(&["noc.topology=mesh"]);
    let places = Places::new(&chip, &Topology::new(&chip));
    assert_eq!((places.columns, places.routers), (8, 56));
    assert_eq!(places.slices[..5], [1, 1, 1, 1, 5]);
    assert_eq!(places.slices[8..16], [8, 8, 8, 8, 12, 12, 12, 12]);
    // GPC 0 has SMs 0, 6, 12, ...
    assert_eq!((places.sms[0], places.sms[6], places.sms[12]), (0, 0, 2));
    // Every node of SMs has two, and none of them a slice.
    for (sm, router) in places.sms.iter().enumerate() {
        let there = places.sms.iter().filter(|r| *r == router).count();
        assert_eq!(there, 2, "{sm}");
        assert!(!places.slices.contains(router), "{sm}");
    }
}

#[test]
fn a_message_alone_takes_its_hops_and_once_its_length() {
    let (mut mesh, topology) = mesh(&spec(SMALL));
    // A read is a header of 16 bytes, a write has 128 more: 1 and 2 cycles of a link of 72 bytes. SM 0 is two hops
    // from the slices, SM 1 three, SM 2 one, SM 3 two.
    let mut sent = 0;
    let mut alone = |kind, sm| {
        sent += 100;
        arrivals(&mut mesh, &topology, &[request(kind, sm, sent)])[0].1 - sent
    };
    let reads = [0, 1, 2, 3].map(|sm| alone(RequestKind::Read, sm));
    assert_eq!(reads, [6 + 1 + 40, 9 + 1 + 40, 3 + 1 + 40, 6 + 1 + 40]);
    assert_eq!(alone(RequestKind::Write, 1), 9 + 2 + 40);
    mesh.answer(reply(1, 500), &topology);
    let came = mesh.arriving_reply(Cycle::MAX, &topology).unwrap();
    assert_eq!(came.at - 500, 9 + 2 + 40);
    let stats = mesh.stats();
    assert_eq!((stats.requests, stats.replies), (5, 1));
    assert_eq!(stats.request_bytes, 4 * 16 + 144);
    assert_eq!(stats.mesh_hops, 2 + 3 + 1 + 2 + 3 + 3);
    assert_eq!(stats.mesh_link_cycles, 8 + 2 * 3 + 2 * 3);
    assert_eq!((stats.request_wait_cycles, stats.reply_wait_cycles), (0, 0));
}

#[test]
fn the_second_message_at_a_link_waits_for_the_length_of_the_first() {
    let (mut mesh, topology) = mesh(&spec(SMALL));
    // The write of SM 0 comes to the router of SM 2 when that sends its own, and goes first. SM 3 comes to the slices
    // along the other row and column.
    let writes = [(0, 100), (2, 103), (3, 100)];
    let writes = writes.map(|(sm, at)| request(RequestKind::Write, sm, at));
    let came = arrivals(&mut mesh, &topology, &writes);
    assert_eq!(came, [(0, 148), (3, 148), (2, 150)]);
    assert_eq!(mesh.stats().request_wait_cycles, 2);
    // A cycle later it would be through.
    let writes = [(0, 200), (2, 205)].map(|(sm, at)| request(RequestKind::Write, sm, at));
    let came = arrivals(&mut mesh, &topology, &writes);
    assert_eq!(came, [(0, 248), (2, 250)]);
    assert_eq!(mesh.stats().request_wait_cycles, 2);
}

#[test]
fn replies_take_turns_at_the_port_of_their_sm() {
    // Ports of 16 bytes: a reply of 144 holds one for 9 cycles.
    let narrow = [SMALL, &["noc.sm_reply_bytes_per_cycle=16"]].concat();
    let (mut mesh, topology) = mesh(&spec(&narrow));
    for sm in [2, 2, 0] {
        mesh.answer(reply(sm, 500), &topology);
    }
    let came: Vec<_> = std::iter::from_fn(|| mesh.arriving_reply(Cycle::MAX, &topology))
        .map(|reply| (reply.sm.0, reply.at))
        .collect();
    // SM 0 has the lowest number of a slice's messages only in order of sending: its reply is third at the link of
    // two cycles each. The second for SM 2 is there at 505 and waits until the first is through the port at 512.
    assert_eq!(came, [(2, 503 + 42), (2, 503 + 9 + 42), (0, 504 + 6 + 42)]);
    assert_eq!(mesh.stats().reply_wait_cycles, 2 + 7 + 4);
}

proptest! {
    /// What arrives when does not depend on how often the mesh runs, and nobody is faster than alone.
    #[test]
    fn quanta_change_nothing(
        sent in prop::collection::vec((0u64..4, 0u16..80, 0u64..200, any::<bool>()), 1..300)
    ) {
        let spec = spec(&["noc.topology=mesh", "noc.mesh_link_bytes=16", "noc.mesh_interface_latency=40"]);
        let mut at = [0; 80];
        let requests: Vec<Request> = sent
            .iter()
            .map(|&(after, sm, line, write)| {
                at[usize::from(sm)] += after;
                let kind = if write { RequestKind::Write } else { RequestKind::Read };
                let line = Line(line);
                Request { line, ..request(kind, sm, at[usize::from(sm)]) }
            })
            .collect();
        let mut seen = Vec::new();
        for quantum in [1, 7, 40, 100_000] {
            let (mut mesh, topology) = mesh(&spec);
            let mut came = Vec::new();
            let mut begin = 0;
            while begin < 100_000 {
                for request in requests.iter().filter(|r| (begin..begin + quantum).contains(&r.at)) {
                    mesh.ask(*request, topology.gpc_of[request.sm.index()], &topology);
                }
                begin += quantum;
                while let Some(request) = mesh.arriving_request(begin) {
                    prop_assert!(quantum > 40 || request.at >= begin, "too late to be told of");
                    came.push(request);
                }
                if begin > 1000 && mesh.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(came.len(), requests.len());
            seen.push((came, mesh.stats()));
        }
        prop_assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn ways_are_as_long_as_rows_and_columns_apart() {
    let chip = spec(&["noc.topology=mesh"]);
    let places = Places::new(&chip, &Topology::new(&chip));
    for sm in [0, 33, 79] {
        for slice in [0, 17, 63] {
            let (mut mesh, topology) = mesh(&chip);
            let line = (0..)
                .map(Line)
                .find(|&l| topology.map.home(l) == SliceId(slice));
            let line = line.unwrap();
            let read = Request {
                line,
                ..request(RequestKind::Read, sm, 0)
            };
            let at = arrivals(&mut mesh, &topology, &[read])[0].1;
            let hops = distance(
                places.sms[usize::from(sm)],
                places.slices[usize::from(slice)],
                8,
            );
            assert_eq!(at, Cycle::from(hops) * 3 + 1 + 40, "{sm} {slice}");
            assert_eq!(mesh.stats().mesh_hops, u64::from(hops));
        }
    }
}
