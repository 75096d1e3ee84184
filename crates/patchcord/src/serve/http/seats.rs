//! Who has which HTTP connections, and which one has to make room for another.
//!
//! **Invariant: a connection is found a seat, and one that has to make room is found, without a look at all of them**, so a
//! flood of connections takes no more time for each the more there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::Source;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;

#[derive(Default)]
pub(super) struct Seats {
    held: BTreeMap<u64, Seat>,
    next: u64,
    groups: BTreeMap<Group, Own>,
    /// Groups with a connection that waits; the last one makes room first.
    waiting: BTreeSet<Rank>,
}

/// A source. A trusted proxy is one of its own: its connections are those of many clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Group {
    source: Source,
    is_proxy: bool,
}

/// The connections of a group.
#[derive(Default)]
struct Own {
    count: usize,
    /// Those that wait for a request, with the time since when they do.
    waiting: BTreeSet<(Instant, u64)>,
}

/// How soon a group has to make room: proxies last, then those with most connections first, then the one that has waited
/// longest.
type Rank = (bool, usize, Reverse<Instant>, Group);

struct Seat {
    group: Group,
    /// Since when it has waited for a request; `None` while one is answered.
    idle_since: Option<Instant>,
    left: Arc<Notify>,
}

impl Seats {
    /// A seat for a new connection, and what wakes it when it has to make room.
    ///
    /// - `is_proxy`: the source has no share of its own
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn take(
        &mut self,
        source: Source,
        is_proxy: bool,
        limits: &Limits,
        now: Instant,
    ) -> Result<(u64, Arc<Notify>), &'static str> {
        let group = Group { source, is_proxy };
        let own = self.groups.get(&group).map_or(0, |own| own.count);
        if !is_proxy && own >= limits.per_source {
            if !self.make_room_of(group, now, limits.idle) {
                return Err("this address has as many as http.max_connections_per_address allows");
            }
        } else if self.held.len() >= limits.connections && !self.make_room(now, limits.idle) {
            return Err("there are as many as http.max_connections allows");
        }
        let (id, left) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        let seat = Seat {
            group,
            idle_since: None,
            left: Arc::clone(&left),
        };
        self.held.insert(id, seat);
        self.change(group, |own| own.count += 1);
        self.set_idle_since(id, Some(now));
        Ok((id, left))
    }

    /// Returns whether the connection still has its seat.
    pub(super) fn set_idle_since(&mut self, id: u64, idle_since: Option<Instant>) -> bool {
        let Some(seat) = self.held.get_mut(&id) else {
            return false;
        };
        let (group, before) = (seat.group, seat.idle_since);
        seat.idle_since = idle_since;
        self.change(group, |own| {
            if let Some(before) = before {
                own.waiting.remove(&(before, id));
            }
            own.waiting.extend(idle_since.map(|since| (since, id)));
        });
        true
    }

    /// Frees a seat, unless it was taken away.
    pub(super) fn free(&mut self, id: u64) -> Option<Arc<Notify>> {
        self.set_idle_since(id, None);
        let seat = self.held.remove(&id)?;
        self.change(seat.group, |own| own.count -= 1);
        Some(seat.left)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> Vec<u64> {
        self.held.keys().copied().collect()
    }

    /// Changes the connections of a group, and its rank with them.
    fn change(&mut self, group: Group, change: impl FnOnce(&mut Own)) {
        let own = self.groups.entry(group).or_default();
        if let Some(rank) = own.rank(group) {
            self.waiting.remove(&rank);
        }
        change(own);
        self.waiting.extend(own.rank(group));
        if own.count == 0 {
            self.groups.remove(&group);
        }
    }

    /// Takes the seat of a connection that has waited long enough: of the group that ranks first. Returns whether there was
    /// one.
    pub(super) fn make_room(&mut self, now: Instant, idle: Duration) -> bool {
        let long_enough = |(_, _, Reverse(since), _): &&Rank| now.duration_since(*since) >= idle;
        let first = self.waiting.iter().rev().find(long_enough);
        let group = first.map(|(.., group)| *group);
        group.is_some_and(|group| self.make_room_of(group, now, idle))
    }

    /// The same, of one group.
    fn make_room_of(&mut self, group: Group, now: Instant, idle: Duration) -> bool {
        let own = self.groups.get(&group);
        let Some((since, id)) = own.and_then(|own| own.waiting.first().copied()) else {
            return false;
        };
        if now.duration_since(since) < idle {
            return false;
        }
        if let Some(left) = self.free(id) {
            left.notify_one();
        }
        true
    }
}

impl Own {
    fn rank(&self, group: Group) -> Option<Rank> {
        let (since, _) = self.waiting.first()?;
        Some((!group.is_proxy, self.count, Reverse(*since), group))
    }
}
