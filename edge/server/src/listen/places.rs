//! How many connections there may be, in all and of one address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_model::client_network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most connections at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// In all; further ones wait in the system's queue.
    pub(crate) connections: usize,
    /// Of one client's address; further ones are closed. `None` behind a proxy, whose address all have.
    pub(crate) of_address: Option<usize>,
}

/// The places that connections take.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    of_address: Option<usize>,
    taken: Arc<Taken>,
}

type Taken = Mutex<HashMap<IpAddr, usize>>;

/// A connection's place among the most in all.
pub(super) type Free = OwnedSemaphorePermit;

impl Places {
    pub(super) fn new(most: Most) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most.connections)),
            of_address: most.of_address,
            taken: Arc::default(),
        }
    }

    /// A place among all; waits for one.
    pub(super) async fn free(&self) -> Option<Free> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// The place with that of the address, until dropped; `None` when the address has its most.
    pub(super) fn take(&self, free: Free, address: IpAddr) -> Option<Place> {
        let of_address = match self.of_address {
            None => None,
            Some(most) => Some(self.take_of_address(client_network(address), most)?),
        };
        Some(Place { _free: free, _of_address: of_address })
    }

    fn take_of_address(&self, address: IpAddr, most: usize) -> Option<OfAddress> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(OfAddress { address, taken: Arc::clone(&self.taken) })
    }
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    _free: Free,
    _of_address: Option<OfAddress>,
}

#[derive(Debug)]
struct OfAddress {
    address: IpAddr,
    taken: Arc<Taken>,
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_its_most_and_gets_back_what_it_gives_back() {
        let places = Places::new(Most { connections: 8, of_address: Some(2) });
        let take = async |address: &str| {
            let free = places.free().await.unwrap();
            places.take(free, address.parse().unwrap())
        };
        let first = take("192.0.2.1").await.unwrap();
        let second = take("::ffff:192.0.2.1").await.unwrap();
        assert!(take("192.0.2.1").await.is_none());
        assert!(take("192.0.2.2").await.is_some());
        drop(first);
        assert!(take("192.0.2.1").await.is_some());
        drop(second);
        assert!(places.taken.lock().unwrap().is_empty(), "addresses without a connection are kept");
        assert_eq!(places.free.available_permits(), 8);
    }

    #[tokio::test]
    async fn a_network_of_ipv6_is_one_client() {
        let places = Places::new(Most { connections: 8, of_address: Some(1) });
        let take = async |address: &str| {
            let free = places.free().await.unwrap();
            places.take(free, address.parse().unwrap())
        };
        let _first = take("2001:db8::1").await.unwrap();
        assert!(take("2001:db8::ffff:2").await.is_none());
        assert!(take("2001:db8:0:1::1").await.is_some());
    }

    #[tokio::test]
    async fn behind_a_proxy_an_address_may_take_all() {
        let places = Places::new(Most { connections: 8, of_address: None });
        let mut held = Vec::new();
        for _ in 0..8 {
            let free = places.free().await.unwrap();
            held.push(places.take(free, IpAddr::from([127, 0, 0, 1])).unwrap());
        }
        assert_eq!(places.free.available_permits(), 0);
    }
}
