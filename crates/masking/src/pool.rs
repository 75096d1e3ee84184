//! Which number of a pool a participant gets.
//!
//! **Invariant: a mask that the number has in another open session is never chosen**, because a call from that number to the mask
//! would have two meanings.

use std::cmp::Reverse;

use model::{NumberSid, Timestamp};

use crate::records::PoolNumber;
use crate::settings::{Selection, Settings};

/// A number of the pool, from the point of view of one participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The number.
    pub number: PoolNumber,
    /// Whether the participant's number has it in an open session.
    pub is_taken: bool,
    /// When the participant's number last got it.
    pub last_had: Option<Timestamp>,
}

/// Why a participant gets no mask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMask {
    /// The requested number is not in the pool.
    #[error("the requested number is not in the pool of the service")]
    NotInPool,
    /// The participant's number has the requested mask in another open session.
    #[error("this participant already has the requested number in another open session")]
    Taken,
    /// A participant's own number cannot be its mask.
    #[error("a number of the pool cannot take part in a session of its own service")]
    OwnNumber,
    /// No number of the pool is where the service demands, or all are reserved.
    #[error(
        "the pool has {have} numbers, but none that is not reserved and matches GeoMatchLevel `{geo}` for this participant; add one"
    )]
    NoneNear {
        /// Numbers of the pool.
        have: usize,
        /// What the service demands.
        geo: &'static str,
    },
    /// The participant's number has all that match in other open sessions.
    #[error(
        "this participant already has all {have} numbers that match, each in another open session; the pool needs at least {needed} of them"
    )]
    Exhausted {
        /// Numbers that match.
        have: usize,
        /// How many are needed.
        needed: usize,
    },
}

/// The number of the pool for a participant.
///
/// Of those that are free for it, the one that [`Selection`] prefers; then the one that begins most like its own number; then the
/// one that fewest participants have; then the least.
///
/// - `number`: of the participant, in E.164 form
/// - `wanted`: the mask that was requested
///
/// # Errors
/// [`NoMask`] if it can have none.
pub fn choose<'c>(
    settings: &Settings,
    candidates: &'c [Candidate],
    number: &str,
    wanted: Option<NumberSid>,
) -> Result<&'c Candidate, NoMask> {
    let is_own = |candidate: &Candidate| candidate.number.phone_number == number;
    if candidates.iter().any(is_own) {
        return Err(NoMask::OwnNumber);
    }
    if let Some(wanted) = wanted {
        let found = candidates.iter().find(|one| one.number.sid == wanted);
        let found = found.ok_or(NoMask::NotInPool)?;
        return if found.is_taken {
            Err(NoMask::Taken)
        } else {
            Ok(found)
        };
    }
    let near = |one: &&Candidate| {
        !one.number.is_reserved && settings.geo.allows(&one.number.phone_number, number)
    };
    let near: Vec<&Candidate> = candidates.iter().filter(near).collect();
    if near.is_empty() {
        return Err(NoMask::NoneNear {
            have: candidates.len(),
            geo: settings.geo.as_str(),
        });
    }
    let rank = |one: &&Candidate| {
        // Nothing comes before what it has never had, or after it.
        let had = one.last_had.map_or(0, |at| match settings.selection {
            Selection::PreferSticky => -at.0,
            Selection::AvoidSticky => at.0,
        });
        let alike = common_digits(&one.number.phone_number, number);
        let name = one.number.phone_number.clone();
        (had, Reverse(alike), one.number.in_use, name)
    };
    let free = near.iter().copied().filter(|one| !one.is_taken);
    free.min_by_key(rank).ok_or(NoMask::Exhausted {
        have: near.len(),
        needed: near.len() + 1,
    })
}

/// How many characters two numbers have in common at the beginning.
fn common_digits(one: &str, other: &str) -> usize {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
    same.count()
}

#[cfg(test)]
mod tests {
    use model::{AccountSid, MaskServiceSid};

    use super::*;
    use crate::settings::Geo;

    const ANN: &str = "+12025550100";

    /// A number whose identifier is its last digit.
    fn candidate(phone_number: &str) -> Candidate {
        let last = phone_number.as_bytes().last().copied().unwrap();
        Candidate {
            number: PoolNumber {
                sid: NumberSid::from_bytes([last; 16]),
                account: AccountSid::from_bytes([1; 16]),
                service: MaskServiceSid::from_bytes([2; 16]),
                phone_number: phone_number.to_owned(),
                is_reserved: false,
                in_use: 0,
                created: Timestamp(0),
                updated: Timestamp(0),
            },
            is_taken: false,
            last_had: None,
        }
    }

    fn had(phone_number: &str, at: i64) -> Candidate {
        Candidate {
            last_had: Some(Timestamp(at)),
            ..candidate(phone_number)
        }
    }

    fn taken(phone_number: &str) -> Candidate {
        Candidate {
            is_taken: true,
            ..candidate(phone_number)
        }
    }

    fn reserved(phone_number: &str) -> Candidate {
        let mut one = candidate(phone_number);
        one.number.is_reserved = true;
        one
    }

    fn busy(phone_number: &str, in_use: i64) -> Candidate {
        let mut one = candidate(phone_number);
        one.number.in_use = in_use;
        one
    }

    fn chosen(
        settings: &Settings,
        pool: &[Candidate],
        wanted: Option<u8>,
    ) -> Result<String, NoMask> {
        let wanted = wanted.map(|last| NumberSid::from_bytes([last; 16]));
        let found = choose(settings, pool, ANN, wanted)?;
        Ok(found.number.phone_number.clone())
    }

    #[test]
    fn the_preferred_free_number_is_chosen() {
        let prefer = Settings::default();
        let avoid = Settings {
            selection: Selection::AvoidSticky,
            ..Settings::default()
        };
        let (far, near) = ("+13035550001", "+12025550002");
        let third = "+12125550003";
        let table = [
            (&prefer, vec![candidate(far), candidate(near)], near),
            (&prefer, vec![had(far, 5), candidate(near)], far),
            (
                &prefer,
                vec![had(far, 5), had(near, 4), candidate(third)],
                far,
            ),
            (&avoid, vec![had(near, 5), candidate(far)], far),
            (&avoid, vec![had(near, 4), had(far, 5)], near),
            (&avoid, vec![had(near, 5), had(far, 4)], far),
            (&prefer, vec![taken(near), candidate(far)], far),
            (&prefer, vec![reserved(near), candidate(far)], far),
            (
                &prefer,
                vec![busy("+12125550001", 2), busy("+12125550002", 1)],
                "+12125550002",
            ),
            (
                &prefer,
                vec![candidate("+12125550002"), candidate("+12125550001")],
                "+12125550001",
            ),
        ];
        for (settings, pool, expected) in table {
            assert_eq!(
                chosen(settings, &pool, None).as_deref(),
                Ok(expected),
                "{pool:?}"
            );
        }
    }

    #[test]
    fn a_requested_number_may_be_reserved_and_far_away() {
        let settings = Settings::default();
        let pool = [reserved("+4930555001"), taken("+12025550002")];
        assert_eq!(
            chosen(&settings, &pool, Some(b'1')).as_deref(),
            Ok("+4930555001")
        );
        assert_eq!(chosen(&settings, &pool, Some(b'2')), Err(NoMask::Taken));
        assert_eq!(chosen(&settings, &pool, Some(b'3')), Err(NoMask::NotInPool));
    }

    #[test]
    fn the_refusal_names_the_size_that_the_pool_needs() {
        let settings = Settings::default();
        let pool = [
            taken("+12025550001"),
            taken("+12025550002"),
            candidate("+4930555003"),
        ];
        let refused = chosen(&settings, &pool, None).unwrap_err();
        assert_eq!(refused, NoMask::Exhausted { have: 2, needed: 3 });
        assert!(refused.to_string().contains("at least 3"), "{refused}");
        let abroad = chosen(&settings, &pool[2..], None).unwrap_err();
        assert_eq!(
            abroad,
            NoMask::NoneNear {
                have: 1,
                geo: "country"
            }
        );
        let anywhere = Settings {
            geo: Geo::Any,
            ..Settings::default()
        };
        assert_eq!(chosen(&anywhere, &pool, None).as_deref(), Ok("+4930555003"));
        assert_eq!(
            chosen(&settings, &[candidate(ANN)], None),
            Err(NoMask::OwnNumber)
        );
    }
}
