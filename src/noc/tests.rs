//! The ports of a GPC and what merged reads save of them.

use super::*;
use crate::config;
use crate::mem::ReplyTo;
use crate::probe::NoProbe;

/// The first GPC of a PCIe H100, and the topology.
fn gpc(overrides: &[&str]) -> (GpcPorts, Topology) {
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    let spec = config::load("h100-pcie", &overrides).unwrap().spec;
    let topology = Topology::new(&spec);
    (GpcPorts::new(GpcId(0), &spec, &topology), topology)
}

/// A read of a whole line by the SM at `position` of the GPC.
fn read(topology: &Topology, position: usize, line: u64) -> Request {
    Request {
        at: 100,
        sm: topology.sms_of[0][position],
        ..Request::new(
            RequestKind::Read,
            Line(line),
            SectorMask::ALL,
            ReplyTo::Fill,
        )
    }
}

/// Sends `reads` up and their replies, all there at once, down. Requests that went on, and for each
/// position how long after the first reply its own came.
fn round_trip(ports: &mut GpcPorts, topology: &Topology, reads: &[Request]) -> (usize, Vec<Cycle>) {
    ports.begin();
    ports.collect(reads);
    ports.route(topology, &mut NoProbe::default());
    let sent: Vec<Request> = ports.to_shards.iter().flatten().copied().collect();
    let replies: Vec<Reply> = sent
        .iter()
        .map(|request| Reply {
            at: 1000,
            line: request.line,
            to: request.to,
            sm: request.sm,
            slice: request.slice,
            kind: request.kind,
            sectors: request.sectors,
        })
        .collect();
    ports.begin();
    ports.collect_replies(&replies);
    ports.route(topology, &mut NoProbe::default());
    let times: Vec<Cycle> = ports.to_sms.iter().flatten().map(|r| r.at).collect();
    let first = times.iter().min().copied().unwrap_or_default();
    (sent.len(), times.iter().map(|t| t - first).collect())
}

#[test]
fn copies_of_one_reply_take_turns_at_the_port_of_their_cpc_only() {
    // 136 bytes at 256 a cycle: 0, 0.53, 1.06, 1.59.
    let (mut ports, topology) = gpc(&[]);
    let reads: Vec<Request> = (0..4).map(|sm| read(&topology, sm, 7)).collect();
    let (sent, times) = round_trip(&mut ports, &topology, &reads);
    assert_eq!((sent, times), (1, vec![0, 1, 2, 2]));
    // Positions 5 and 6 lie in different CPCs.
    let (mut ports, topology) = gpc(&[]);
    let reads = [5, 6].map(|sm| read(&topology, sm, 7));
    assert_eq!(round_trip(&mut ports, &topology, &reads), (1, vec![0, 0]));
    let (mut ports, topology) = gpc(&["noc.cpc_sms=0"]);
    let reads: Vec<Request> = (0..4).map(|sm| read(&topology, sm, 7)).collect();
    let (sent, times) = round_trip(&mut ports, &topology, &reads);
    assert_eq!((sent, times), (1, vec![0; 4]), "no port between GPC and SM");
}

#[test]
fn one_reply_passes_the_port_of_the_gpc_once() {
    // Ports of 17 bytes: a reply of 136 takes 8 cycles of the GPC's port, its copies none.
    let narrow = "noc.gpc_reply_bytes_per_cycle=17";
    let (mut ports, topology) = gpc(&[narrow, "noc.cpc_sms=0"]);
    let reads = [0, 6, 12].map(|sm| read(&topology, sm, 7));
    let (sent, times) = round_trip(&mut ports, &topology, &reads);
    assert_eq!((sent, times), (1, vec![0, 0, 0]));
    let (mut ports, topology) = gpc(&[narrow, "noc.cpc_sms=0", "noc.coalescer_entries=0"]);
    let reads = [0, 6, 12].map(|sm| read(&topology, sm, 7));
    let (sent, times) = round_trip(&mut ports, &topology, &reads);
    assert_eq!((sent, times), (3, vec![0, 8, 16]));
}
