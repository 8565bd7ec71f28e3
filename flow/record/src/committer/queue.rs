//! The committer's queue: bounded, and fair between organizations.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chancery_model::OrgId;
use tokio::sync::Notify;

use super::Job;

/// Jobs in lanes, one per organization, taken in turns: an organization that floods the queue fills
/// its own lane and waits behind itself.
#[derive(Debug)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    arrived: Notify,
    capacity: usize,
    share: usize,
}

#[derive(Debug, Default)]
struct Lanes {
    waiting: HashMap<OrgId, VecDeque<Job>>,
    /// Organizations with something waiting, the next first.
    turns: VecDeque<OrgId>,
    count: usize,
    closed: bool,
}

impl Queue {
    /// A queue of at most `capacity` jobs, of which one organization may hold `share`.
    pub(crate) fn new(capacity: usize, share: usize) -> Self {
        Self { lanes: Mutex::default(), arrived: Notify::new(), capacity, share }
    }

    /// Puts a job at the end of its lane; `false` when there is no room for it.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut lanes = self.lock();
        if lanes.closed || lanes.count >= self.capacity {
            return false;
        }
        let org = job.entry.org;
        let lane = lanes.waiting.entry(org).or_default();
        if lane.len() >= self.share {
            return false;
        }
        let first = lane.is_empty();
        lane.push_back(job);
        if first {
            lanes.turns.push_back(org);
        }
        lanes.count += 1;
        drop(lanes);
        self.arrived.notify_one();
        true
    }

    /// The next jobs, at most `most`, one from each lane in turn. Waits while there are none; `None`
    /// when the queue is closed and empty.
    pub(crate) async fn take(&self, most: usize) -> Option<Vec<Job>> {
        loop {
            // Registered before looking, so that a push in between is not missed.
            let arrived = self.arrived.notified();
            {
                let mut lanes = self.lock();
                let jobs = lanes.take(most);
                if !jobs.is_empty() {
                    return Some(jobs);
                }
                if lanes.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Takes nothing more in; what waits is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    fn take(&mut self, most: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        while jobs.len() < most {
            let Some(org) = self.turns.pop_front() else { break };
            let Some(lane) = self.waiting.get_mut(&org) else { continue };
            if let Some(job) = lane.pop_front() {
                self.count -= 1;
                jobs.push(job);
            }
            if lane.is_empty() {
                self.waiting.remove(&org);
            } else {
                self.turns.push_back(org);
            }
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Prepared;

    fn job(org: u8) -> Job {
        let org = OrgId::new(chancery_model::Timestamp::from_micros(0), [org; 10]);
        let entry = Prepared {
            org,
            kind: "test",
            correlation: None,
            refs: String::new(),
            commitment: [0; 32],
            payload: Vec::new(),
        };
        Job::new(entry, 1).0
    }

    #[tokio::test]
    async fn lanes_take_turns_and_one_cannot_crowd_out_another() {
        let queue = Queue::new(10, 4);
        let pushed: Vec<bool> = (0..6).map(|_| queue.push(job(1))).collect();
        assert_eq!(pushed, [true, true, true, true, false, false]);
        assert!(queue.push(job(2)));
        let next = queue.take(2).await.unwrap_or_default();
        let orgs: std::collections::HashSet<_> = next.iter().map(|job| job.entry.org).collect();
        assert_eq!(orgs.len(), 2);
        assert_eq!(queue.len(), 3);
    }

    #[tokio::test]
    async fn a_closed_queue_hands_out_what_waits_and_ends() {
        let queue = Queue::new(2, 2);
        assert!(queue.push(job(1)));
        queue.close();
        assert!(!queue.push(job(1)));
        assert_eq!(queue.take(9).await.map(|jobs| jobs.len()), Some(1));
        assert!(queue.take(9).await.is_none());
    }
}
