//! Several blobs at once: each by the next thread that is free.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::patience::{Again, Failure};
use super::repository::Repository;
use crate::image::remote::Teller;

/// Blobs that are under way at once.
const AT_ONCE: usize = 3;

/// Does `work` for each of them, and gives what came of it, in no particular order. After a
/// failure the others come to an end of it, and begin nothing.
pub fn each<I: Send, T: Send>(
    items: Vec<I>,
    repository: &Repository,
    teller: &Teller,
    work: impl Fn(I, &mut Teller) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let workers = items.len().min(AT_ONCE);
    let queue = Mutex::new(VecDeque::from(items));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let done = Mutex::new(Vec::new());
    let failed: Mutex<Option<Failure>> = Mutex::default();
    let go = |mut teller: Teller| {
        while let Some(item) = next() {
            match work(item, &mut teller) {
                Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push(result),
                Err(failure) => {
                    // The first failure counts, unless another one is a lie.
                    repository.stop();
                    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    if failed.is_none() || failure.again == Again::Lie {
                        *failed = Some(failure);
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let teller = teller.clone();
            scope.spawn(|| go(teller));
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}
