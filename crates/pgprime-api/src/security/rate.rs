//! How often one address may ask.
//!
//! Of IPv6 it is the network of 64 bits that counts: whoever has one address has all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered at once. When there are more, those whose minute is over go; if none is, all of them.
const ADDRESSES_MAX: usize = 10_000;

/// Requests of each address in the minute that began with its first one.
#[derive(Debug)]
pub(crate) struct Rates {
    max: u32,
    counts: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Rates {
    pub(crate) fn new(max: u32) -> Self {
        Self { max: max.max(1), counts: Mutex::default() }
    }

    /// Counts a request; the seconds after which the address may ask again, if it has asked too often.
    pub(crate) fn count(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let address = network(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES_MAX && !counts.contains_key(&address) {
            counts.retain(|_, (began, _)| now.saturating_duration_since(*began) < WINDOW);
            if counts.len() >= ADDRESSES_MAX {
                counts.clear();
            }
        }
        let (began, count) = counts.entry(address).or_insert((now, 0));
        if now.saturating_duration_since(*began) >= WINDOW {
            (*began, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count <= self.max {
            return Ok(());
        }
        let left = WINDOW.saturating_sub(now.saturating_duration_since(*began));
        Err(left.as_secs().max(1))
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_minute() {
        let (rates, now) = (Rates::new(2), Instant::now());
        let address = |last: u8| IpAddr::from([127, 0, 0, last]);
        assert!(rates.count(address(1), now).is_ok() && rates.count(address(1), now).is_ok());
        assert_eq!(rates.count(address(1), now + Duration::from_secs(20)), Err(40));
        assert!(rates.count(address(2), now).is_ok());
        assert!(rates.count(address(1), now + WINDOW).is_ok());
        let [one, neighbour, other] = ["2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"];
        let count = |address: &str| rates.count(address.parse().unwrap(), now).is_ok();
        assert!(count(one) && count(neighbour) && !count(one) && count(other));
    }
}
