//! A bad network in virtual time: it loses, duplicates, delays and reorders messages.
//!
//! Time comes in as an argument and randomness from a seed, so **the same seed and the same sends
//! give the same deliveries**, and a failure can be repeated from its seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::random::Random;

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Messages lost, per 1000.
    pub loss: u64,
    /// Messages that arrive twice, per 1000 not lost.
    pub duplicates: u64,
    /// The shortest transit time.
    pub min_delay: Duration,
    /// The longest transit time. Each copy draws its own, so later ones overtake earlier ones.
    pub max_delay: Duration,
}

impl Weather {
    /// Everything arrives once, in order, after 10 ms.
    pub const CALM: Self = Self {
        loss: 0,
        duplicates: 0,
        min_delay: Duration::from_millis(10),
        max_delay: Duration::from_millis(10),
    };
}

/// A message that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery<N, M> {
    /// The sender.
    pub from: N,
    /// The recipient.
    pub to: N,
    /// The message, unchanged.
    pub message: M,
}

/// The network between nodes named by `N`.
#[derive(Debug)]
pub struct Network<N, M> {
    weather: Weather,
    random: Random,
    /// Messages in transit, by arrival time, then in sending order.
    under_way: BTreeMap<(Instant, u64), Delivery<N, M>>,
    sent: u64,
}

impl<N: Copy, M: Clone> Network<N, M> {
    /// A network without messages.
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self {
            weather,
            random: Random(seed),
            under_way: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Sends a message: it may arrive, once or twice, some time after `now`.
    pub fn send(&mut self, from: N, to: N, message: M, now: Instant) {
        if self.random.below(1000) < self.weather.loss {
            return;
        }
        if self.random.below(1000) < self.weather.duplicates {
            self.put(from, to, message.clone(), now);
        }
        self.put(from, to, message, now);
    }

    fn put(&mut self, from: N, to: N, message: M, now: Instant) {
        let spread = self
            .weather
            .max_delay
            .saturating_sub(self.weather.min_delay);
        let spread = u64::try_from(spread.as_micros()).unwrap_or(u64::MAX);
        let late = Duration::from_micros(self.random.below(spread.saturating_add(1)));
        self.sent += 1;
        let at = now + self.weather.min_delay + late;
        self.under_way
            .insert((at, self.sent), Delivery { from, to, message });
    }

    /// When the next message arrives.
    pub fn next_at(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next message that has arrived by `now`.
    pub fn receive(&mut self, now: Instant) -> Option<Delivery<N, M>> {
        if self.next_at()? > now {
            return None;
        }
        self.under_way.pop_first().map(|(_, delivery)| delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORM: Weather = Weather {
        loss: 300,
        duplicates: 200,
        min_delay: Duration::from_millis(5),
        max_delay: Duration::from_millis(50),
    };

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be had in no other way"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    /// Sends 0..1000, one per millisecond, and returns what arrives and after how many ms.
    fn exchange(weather: Weather, seed: u64) -> Vec<(u128, u64)> {
        let start = start();
        let mut network = Network::new(weather, seed);
        for n in 0..1000 {
            network.send('a', 'b', n, start + Duration::from_millis(n));
        }
        let mut arrived = Vec::new();
        while let Some(at) = network.next_at() {
            let early = at
                .checked_sub(Duration::from_micros(1))
                .expect("after the start");
            assert_eq!(
                network.receive(early),
                None,
                "nothing comes before its time"
            );
            let delivery = network.receive(at).expect("due");
            assert_eq!((delivery.from, delivery.to), ('a', 'b'));
            arrived.push((at.duration_since(start).as_millis(), delivery.message));
        }
        arrived
    }

    #[test]
    fn calm_weather_delivers_all_once_in_order() {
        let expected: Vec<(u128, u64)> = (0..1000).map(|n| (u128::from(n) + 10, n)).collect();
        assert_eq!(exchange(Weather::CALM, 1), expected);
    }

    #[test]
    fn a_storm_loses_doubles_delays_and_swaps() {
        let arrived = exchange(STORM, 1);
        let mut kinds: Vec<u64> = arrived.iter().map(|(_, n)| *n).collect();
        assert!(!kinds.is_sorted(), "some overtake others");
        kinds.sort_unstable();
        kinds.dedup();
        assert!(
            (650..750).contains(&kinds.len()),
            "{} of 1000 arrived",
            kinds.len()
        );
        let doubles = arrived.len() - kinds.len();
        assert!((100..180).contains(&doubles), "{doubles} came twice");
        for (ms, n) in arrived {
            let delay = ms - u128::from(n);
            assert!((5..=50).contains(&delay), "{delay} ms on the way");
        }
    }

    #[test]
    fn a_seed_repeats_the_run() {
        assert_eq!(exchange(STORM, 7), exchange(STORM, 7));
        assert_ne!(exchange(STORM, 7), exchange(STORM, 8));
    }
}
