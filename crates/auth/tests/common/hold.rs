//! Stops a hashing thread where a test wants it, without looking at a clock.
//!
//! When a hash is done, its thread wakes the future that asked for it. A future inside [`Holding`] hands out a waker that
//! blocks when a hashing thread calls it, until the hold is released.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use auth::dto::SessionResponse;
use auth::error::AuthError;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Instance;

/// Keeps one hashing thread until released or dropped.
pub(crate) struct Hold(Arc<Shared>);

#[derive(Default)]
struct Shared {
    reached: Notify,
    released: Mutex<bool>,
    changed: Condvar,
}

impl Hold {
    pub(crate) fn release(&self) {
        *self.0.released.lock().unwrap() = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

struct Holding<F> {
    future: Pin<Box<F>>,
    hold: Arc<Shared>,
}

impl<F: Future> Future for Holding<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let waker = HoldingWaker { hold: self.hold.clone(), inner: context.waker().clone() };
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(waker))))
    }
}

struct HoldingWaker {
    hold: Arc<Shared>,
    inner: Waker,
}

impl Wake for HoldingWaker {
    fn wake(self: Arc<Self>) {
        if std::thread::current().name().is_some_and(|name| name.starts_with("password-")) {
            self.hold.reached.notify_one();
            let released = self.hold.released.lock().unwrap();
            drop(self.hold.changed.wait_while(released, |released| !*released).unwrap());
        }
        self.inner.wake_by_ref();
    }
}

/// A sign-in whose password was verified, and which is kept from learning that: its hashing thread does nothing else until
/// the hold is released.
pub(crate) async fn held_login(
    instance: &Instance,
    identifier: &'static str,
    password: &'static str,
) -> (Hold, JoinHandle<Result<SessionResponse, AuthError>>) {
    // A hash that is done before its future waits for it wakes nobody: then once more.
    loop {
        let shared = Arc::new(Shared::default());
        let hold = Hold(shared.clone());
        let instance = instance.clone();
        let login = async move { instance.login(identifier, password).await };
        let mut login = tokio::spawn(Holding { future: Box::pin(login), hold: shared.clone() });
        tokio::select! {
            biased;
            () = shared.reached.notified() => return (hold, login),
            _ = &mut login => {}
        }
    }
}
