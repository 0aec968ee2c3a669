//! What the policies for research are for, in strings whose victims are written out.

use super::tests::Set;
use super::*;
use crate::mem::Line;
use crate::mem::cache::Tags;

#[test]
fn brrip_expects_all_but_one_line_in_thirty_two_never() {
    let mut set = Set::new(Replacement::Brrip, 4);
    // The first fill, a, is expected late (2), b, c and d never (3). Each new line takes the first one at 3.
    assert_eq!(set.all("abcd"), "");
    assert_eq!(set.all("efgh"), "befg");
    // c and d, at 3 and behind way 1, stay under a scan, though nothing was used again; SRRIP would have kept none.
    assert!([b'a', b'c', b'd'].iter().all(|&name| set.has(name)));
    let mut srrip = Set::new(Replacement::Srrip, 4);
    assert_eq!(srrip.all("abcdefgh"), "abcd");
    // Eight fills so far. The next 24 take way 1, too, each from the one before it.
    let scan: String = ('A'..='X').collect();
    assert_eq!(set.all(&scan), "hABCDEFGHIJKLMNOPQRSTUVW");
    // Fill 33 is expected late again: it stays when the next one takes c, the first one at 3.
    assert_eq!(set.all("yz"), "Xc");
    assert!(set.has(b'y'));
}

#[test]
fn drrip_follows_the_set_that_misses_less() {
    // 64 sets: 0 and 32 lead for SRRIP, 16 and 48 for BRRIP. Four ways each, by set.
    let mut tags = Tags::new(64, 4, false, Replacement::Drrip);
    let mut access = |set: u64, name: u64| {
        let line = Line(name * 64 + set);
        match tags.find(line) {
            Some(id) => {
                tags.hit(id, Access::default());
                true
            }
            None => {
                tags.insert(line, Access::default());
                false
            }
        }
    };
    // Nothing was missed yet: a follower is filled as SRRIP would, and a loop over five lines never hits.
    let follower = |access: &mut dyn FnMut(u64, u64) -> bool, set: u64| {
        let rounds = (0..20).flat_map(|_| 0..5);
        rounds.filter(|&name| access(set, name)).count()
    };
    assert_eq!(follower(&mut access, 1), 0);
    // The same loop in the leaders: SRRIP's miss each time, BRRIP keeps some lines. So BRRIP wins.
    for _ in 0..20 {
        for name in 0..5 {
            access(0, name);
            access(16, name);
        }
    }
    assert!(follower(&mut access, 2) > 20);
    // Misses of BRRIP's leaders alone turn it back.
    for name in 100..300 {
        access(16, name);
        access(48, name);
    }
    assert_eq!(follower(&mut access, 3), 0);
}
