//! Short strings of accesses whose victims are written out, and what each policy is for.

use super::plru::Plru;
use super::*;
use crate::mem::Line;
use crate::mem::cache::Tags;

/// One set of `ways` ways; accesses by name.
pub(super) struct Set(Tags);

impl Set {
    pub(super) fn new(policy: Replacement, ways: u32) -> Self {
        Set(Tags::new(1, ways, false, policy))
    }

    /// Accesses the lines of `names` with operator `cache`; the lines that fell out, in order.
    fn access(&mut self, names: &str, cache: CacheOp) -> String {
        let mut out = String::new();
        for name in names.bytes() {
            let line = Line(u64::from(name));
            match self.0.find(line) {
                Some(id) => self.0.hit(id, cache.into()),
                None => {
                    let victim = self.0.insert(line, cache.into()).1;
                    out.extend(victim.map(|v| v.line.0 as u8 as char));
                }
            }
        }
        out
    }

    pub(super) fn all(&mut self, names: &str) -> String {
        self.access(names, CacheOp::All)
    }

    pub(super) fn has(&self, name: u8) -> bool {
        self.0.find(Line(u64::from(name))).is_some()
    }
}

#[test]
fn lru_drives_out_what_was_not_used_for_longest() {
    let mut set = Set::new(Replacement::Lru, 3);
    // Order of use, oldest first: abc, bca after the hit; d takes b, then e takes c, then f takes a.
    assert_eq!(set.all("abcadef"), "bca");
    let mut one = Set::new(Replacement::Lru, 1);
    assert_eq!(one.all("aabac"), "aba");
}

#[test]
fn plru_follows_the_bits_of_its_tree() {
    let mut set = Set::new(Replacement::Plru, 4);
    // Ways 0 to 3 hold a to d; after d the root points left, the left node to a, the right one to c.
    // e takes a: root right. The right node still points to c: f takes c, root left. The left node points to b.
    assert_eq!(set.all("abcd"), "");
    assert_eq!(set.all("efg"), "acb");
    // True LRU would have driven out a, b, c.
    assert_eq!(Set::new(Replacement::Lru, 4).all("abcdefg"), "abc");
}

#[test]
fn plru_never_names_a_way_that_does_not_exist() {
    // Three ways under a tree of four. After c (way 2): root left, left node to a, right node to the missing d.
    let mut set = Set::new(Replacement::Plru, 3);
    // e takes a: root right; there f takes c; root left, left node to b: g takes b.
    assert_eq!(set.all("abcefg"), "acb");
    // Trees of more than one word.
    let mut large = Plru::new(2, 200);
    for k in 0..1000u32 {
        let way = if k < 200 { k } else { large.victim(1) };
        assert!(way < 200);
        large.fill(1, way, Access::default());
    }
    large.reset(65);
    for k in 0..200u32 {
        let way = if k < 65 { k } else { large.victim(1) };
        assert!(way < 65);
        large.fill(1, way, Access::default());
    }
}

#[test]
fn fifo_drives_out_what_came_first_however_often_it_was_used() {
    let mut set = Set::new(Replacement::Fifo, 3);
    assert_eq!(set.all("abcaaadaef"), "abcd");
}

#[test]
fn srrip_keeps_a_reused_line_under_a_scan_that_lru_loses() {
    let mut srrip = Set::new(Replacement::Srrip, 4);
    // a was used again (0), b c d are expected late (2). The scan e f g finds nothing at 3, so all age by one:
    // a 1, b c d 3; e takes b, f takes c, g takes d, each late (2).
    assert_eq!(srrip.all("abcda"), "");
    assert_eq!(srrip.all("efg"), "bcd");
    assert!(srrip.has(b'a'));
    // The next three age a once more, to 2, and take e, f, g (hij at 2, as a).
    assert_eq!(srrip.all("hij"), "efg");
    assert!(srrip.has(b'a'));
    // Seven lines after its last use a is as old as the scan, and goes first.
    assert_eq!(srrip.all("k"), "a");
    let mut lru = Set::new(Replacement::Lru, 4);
    // LRU loses a with the fourth line of the scan, since b, c and d go before it.
    assert_eq!(lru.all("abcdaefgh"), "bcda");
}

#[test]
fn random_names_every_way_and_the_same_ones_again() {
    let scan: String = (b'!'..=b'~').map(char::from).collect();
    let run = || Set::new(Replacement::Random, 4).all(&scan);
    let victims = run();
    assert_eq!(victims, run());
    assert_ne!(victims, Set::new(Replacement::Fifo, 4).all(&scan));
    let mut random = Replace::new(Replacement::Random, 8, 4);
    let mut drawn = [[0u32; 4]; 8];
    for k in 0..8 * 400u32 {
        let set = k % 8;
        drawn[set as usize][random.victim(set) as usize] += 1;
    }
    // 400 draws of four: 100 each, give or take four standard deviations of 8.7.
    assert!(
        drawn.iter().flatten().all(|n| (65..=135).contains(n)),
        "{drawn:?}"
    );
}

#[test]
fn evict_first_gives_a_stream_one_way_of_a_full_set() {
    let mut set = Set::new(Replacement::EvictFirst, 4);
    assert_eq!(set.all("abcd"), "");
    // The first line of the stream takes the oldest; each of the others takes the one before it.
    assert_eq!(set.access("1234", CacheOp::Streaming), "a123");
    assert_eq!(set.all("bcd"), "");
    // LRU would have lost all four lines.
    let mut lru = Set::new(Replacement::Lru, 4);
    assert_eq!(lru.all("abcd"), "");
    assert_eq!(lru.access("1234", CacheOp::Streaming), "abcd");
    // Without operators it is LRU.
    let mut plain = Set::new(Replacement::EvictFirst, 3);
    assert_eq!(plain.all("abcadef"), "bca");
}

#[test]
fn evict_first_marks_follow_the_last_operator() {
    let mut set = Set::new(Replacement::EvictFirst, 4);
    set.access("12", CacheOp::Streaming);
    set.all("ab");
    // An ordinary use makes 1 an ordinary line: only 2 is marked.
    set.all("1");
    assert_eq!(set.all("c"), "2");
    // The last use of b marks it, though it was just used; a streaming hit of c changes nothing.
    set.access("c", CacheOp::Streaming);
    set.access("b", CacheOp::LastUse);
    assert_eq!(set.all("d"), "b");
    // No marks left: a is the least recently used.
    assert_eq!(set.all("e"), "a");
}

#[test]
fn a_carve_out_takes_ways_from_every_policy() {
    for policy in Replace::all() {
        let name = policy.name();
        let mut tags = Tags::new(2, 4, false, policy);
        tags.reset(3);
        for line in 0..100 {
            let (id, _) = tags.insert(Line(line), Access::default());
            assert!(id % 4 < 3, "{name}: way 3 is not allowed");
        }
        assert_eq!(tags.lines().count(), 6, "{name}");
    }
}
