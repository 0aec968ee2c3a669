//! What a study found, as JSON (the structs are the schema) and as a table.

use super::Request;
use super::belady::{ACCESSES_MAX, Bound};
use super::distance::{Histogram, Row};
use super::driver::{Alone, Tally};
use super::enabled::Study;
use super::stream::{LINES_MAX, Stream};
use serde::Serialize;
use serde_json::Value as Json;

/// The report of a study.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The trace.
    trace: String,
    /// The SM whose accesses were looked at; none: all of them, in one cache.
    sm: Option<u16>,
    /// The keys of the cache.
    cache: Json,
    sets: u64,
    /// The stream by itself.
    stream: StreamReport,
    /// Belady's bound; none where the stream is too long.
    belady: Option<BeladyReport>,
    /// The caches, in the order in which they were asked for.
    policies: Vec<PolicyReport>,
}

/// What does not depend on the policy.
#[derive(Clone, Debug, Serialize)]
struct StreamReport {
    /// Accesses of lines.
    loads: u64,
    stores: u64,
    atomics: u64,
    /// Accesses whose line is in the cache afterwards; all that follows is about these.
    line_accesses: u64,
    /// None where not all lines could be remembered, as the next three.
    distinct_lines: Option<u64>,
    distinct_loaded_sectors: Option<u64>,
    /// Lines that more than one SM accessed.
    shared_lines: Option<u64>,
    /// Accesses whose line was last accessed by another SM.
    after_another_sm: Option<u64>,
    /// Sectors written by stores.
    written_sectors: u64,
    /// Share of them that their store wrote in every byte; none without stores.
    write_mask_coverage: Option<f64>,
    /// Accesses by the number of other lines since the last access of their line.
    reuse_distance: Vec<DistanceReport>,
    /// Accesses of lines that were not accessed before, or farther away than distances are exact.
    without_reuse_distance: u64,
}

/// Distances from `from` to `to` lines.
#[derive(Clone, Debug, Serialize)]
struct DistanceReport {
    from: u64,
    to: u64,
    accesses: u64,
    /// Accesses that a fully associative LRU cache of `to` + 1 lines would hit.
    lru_hits: u64,
}

#[derive(Clone, Debug, Serialize)]
struct BeladyReport {
    line_hits: u64,
    line_misses: u64,
    line_hit_rate: f64,
}

/// One cache.
#[derive(Clone, Debug, Serialize)]
struct PolicyReport {
    policy: &'static str,
    #[serde(flatten)]
    tally: TallyReport,
    /// Line hits over those of Belady's policy; none without a bound, or where that has no hit.
    of_belady: Option<f64>,
    evictions: u64,
    sectors_fetched: u64,
    /// Distinct loaded sectors over fetched ones: 1 when nothing is fetched twice.
    streaming_efficiency: Option<f64>,
    hits_after_another_sm: Option<u64>,
    /// Stores that allocate nothing, and those of them that found their line.
    passing_stores: u64,
    passing_store_hits: u64,
    written_back_lines: u64,
    written_back_sectors: u64,
    written_back_full_sectors: u64,
    /// By program counter, in order.
    pcs: Vec<PcReport>,
    sets: Vec<SetReport>,
}

/// What accesses found.
#[derive(Clone, Debug, Serialize)]
struct TallyReport {
    line_accesses: u64,
    /// The line was there with all sectors.
    hits: u64,
    hit_rate: f64,
    /// The line was there without all of the sectors.
    sector_misses: u64,
    /// Hits and sector misses.
    line_hits: u64,
    line_hit_rate: f64,
    line_misses: u64,
}

#[derive(Clone, Debug, Serialize)]
struct PcReport {
    /// None for those beyond the ones that are told apart.
    pc: Option<u64>,
    #[serde(flatten)]
    tally: TallyReport,
}

#[derive(Clone, Debug, Serialize)]
struct SetReport {
    set: u64,
    accesses: u64,
    line_misses: u64,
    evictions: u64,
    /// Lines at the end.
    lines: u64,
    /// Lines that an access found, on average.
    mean_lines: f64,
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn share_of(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| share(part, whole))
}

impl From<&Tally> for TallyReport {
    fn from(tally: &Tally) -> Self {
        TallyReport {
            line_accesses: tally.accesses(),
            hits: tally.hits,
            hit_rate: share(tally.hits, tally.accesses()),
            sector_misses: tally.sector_misses,
            line_hits: tally.line_hits(),
            line_hit_rate: share(tally.line_hits(), tally.accesses()),
            line_misses: tally.line_misses,
        }
    }
}

impl StreamReport {
    fn new(stream: &Stream) -> Self {
        let c = &stream.counts;
        let exact = |count: u64| stream.knows_all_lines().then_some(count);
        StreamReport {
            loads: c.loads,
            stores: c.stores,
            atomics: c.atomics,
            line_accesses: c.allocating,
            distinct_lines: exact(c.distinct_lines),
            distinct_loaded_sectors: exact(c.distinct_loaded_sectors),
            shared_lines: exact(c.shared_lines),
            after_another_sm: exact(c.after_another_sm),
            written_sectors: c.written_sectors,
            write_mask_coverage: share_of(c.fully_written_sectors, c.written_sectors),
            reuse_distance: distances(&stream.distances),
            without_reuse_distance: c.allocating - stream.distances.lru_hits(LINES_MAX),
        }
    }
}

fn distances(histogram: &Histogram) -> Vec<DistanceReport> {
    let rows = histogram.rows(LINES_MAX).into_iter();
    let report = |row: Row| DistanceReport {
        from: row.from,
        to: row.to,
        accesses: row.accesses,
        lru_hits: row.lru_hits,
    };
    rows.map(report).collect()
}

impl PolicyReport {
    fn new(cache: &Alone, stream: &Stream, bound: Option<Bound>) -> Self {
        let (c, stats) = (&cache.counts, cache.stats());
        let exact = |count: u64| stream.knows_all_lines().then_some(count);
        let pcs = cache.pcs.iter().enumerate();
        let pcs = pcs.filter(|(_, tally)| tally.accesses() > 0);
        let mut pcs: Vec<PcReport> = pcs
            .map(|(at, tally)| PcReport {
                pc: stream.pc(at),
                tally: tally.into(),
            })
            .collect();
        pcs.sort_by_key(|row| row.pc.unwrap_or(u64::MAX));
        let set = |(at, s): (usize, &super::driver::SetPressure)| SetReport {
            set: at as u64,
            accesses: s.accesses,
            line_misses: s.line_misses,
            evictions: s.evictions,
            lines: s.lines,
            mean_lines: share(s.lines_found, s.accesses),
        };
        PolicyReport {
            policy: cache.policy.name(),
            tally: (&c.tally).into(),
            of_belady: bound.and_then(|b| share_of(c.tally.line_hits(), b.line_hits)),
            evictions: stats.evictions,
            sectors_fetched: stats.sector_misses,
            streaming_efficiency: exact(stream.counts.distinct_loaded_sectors)
                .and_then(|distinct| share_of(distinct, stats.sector_misses)),
            hits_after_another_sm: exact(c.hits_after_another_sm),
            passing_stores: c.passing_stores,
            passing_store_hits: c.passing_store_hits,
            written_back_lines: c.written_back_lines,
            written_back_sectors: stats.sector_writebacks,
            written_back_full_sectors: c.written_back_full_sectors,
            pcs,
            sets: cache.sets.iter().enumerate().map(set).collect(),
        }
    }
}

impl Report {
    /// The report of `study`, which did what `request` asks for.
    pub(super) fn new(request: &Request, study: &Study) -> Self {
        let ways = usize::from(request.cache.spec.ways);
        let first = study.caches.first();
        let bound = first.and_then(|c| study.stream.recording.bound(ways, |l| c.set_of(l)));
        let policies = study.caches.iter();
        Report {
            trace: request.trace.display().to_string(),
            sm: request.sm,
            cache: request.cache.echo.clone(),
            sets: first.map_or(0, |c| c.sets.len() as u64),
            stream: StreamReport::new(&study.stream),
            belady: bound.map(|b| BeladyReport {
                line_hits: b.line_hits,
                line_misses: b.line_misses,
                line_hit_rate: share(b.line_hits, b.line_hits + b.line_misses),
            }),
            policies: policies
                .map(|cache| PolicyReport::new(cache, &study.stream, bound))
                .collect(),
        }
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let s = &self.stream;
        let key = |name: &str| self.cache[&format!("l1.{name}")].to_string();
        let known =
            |count: Option<u64>| count.map_or_else(|| "too many".to_owned(), |n| n.to_string());
        let mut text = format!(
            "cache          {} bytes, {} sets of {} ways\n",
            key("unified_bytes"),
            self.sets,
            key("ways")
        );
        text += &format!(
            "accesses       {} loads, {} stores, {} atomics; {} lines, {} of them of several SMs\n",
            s.loads,
            s.stores,
            s.atomics,
            known(s.distinct_lines),
            known(s.shared_lines)
        );
        if let Some(coverage) = s.write_mask_coverage {
            text += &format!(
                "written        {} sectors, {:.1} % of them in every byte\n",
                s.written_sectors,
                100.0 * coverage
            );
        }
        text += &format!(
            "\n{:12} {:>12} {:>9} {:>13} {:>12} {:>12} {:>10} {:>10}\n",
            "policy",
            "hits",
            "hit rate",
            "sector misses",
            "line misses",
            "evictions",
            "streaming",
            "of Belady"
        );
        let percent =
            |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.2} %", 100.0 * s));
        for p in &self.policies {
            let t = &p.tally;
            text += &format!(
                "{:12} {:>12} {:>9} {:>13} {:>12} {:>12} {:>10} {:>10}\n",
                p.policy,
                t.hits,
                percent(Some(t.hit_rate)),
                t.sector_misses,
                t.line_misses,
                p.evictions,
                percent(p.streaming_efficiency),
                percent(p.of_belady)
            );
        }
        match &self.belady {
            Some(b) => {
                text + &format!(
                    "\nBelady's policy would find the line of {} accesses ({:.2} %), and miss that of {}.\n",
                    b.line_hits,
                    100.0 * b.line_hit_rate,
                    b.line_misses
                )
            }
            None => {
                text + &format!(
                    "\nThe trace is too long for Belady's bound: {ACCESSES_MAX} accesses of lines at most, and about {LINES_MAX} \
                 lines.\n"
                )
            }
        }
    }
}
