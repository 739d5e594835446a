//! Runs work in one of many processes at a time: the one that holds a lease.
use super::{FencingToken, LeaseOptions, Leases};
use std::future::Future;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

impl Leases {
    /// Waits for the lease and does `work` under it; again, when the lease was lost meanwhile. The result is that of work that came to its end by
    /// itself, or because `cancel` fired; `None` when that fired before the lease was had. Then the lease is given back, and the next one needn't wait.
    ///
    /// Work that lost the lease is dropped where it is. What it asked for until then is refused where its [`FencingToken`] is checked.
    pub async fn lead<F: Future>(
        &self,
        name: &str,
        options: LeaseOptions,
        cancel: &CancellationToken,
        leads: &watch::Sender<bool>,
        work: impl Fn(FencingToken, CancellationToken) -> F,
    ) -> Option<F::Output> {
        loop {
            let lease = cancel.run_until_cancelled(self.acquire(name, options)).await?;
            let _seat = LeadingGuard::take(leads);
            tokio::select! {
                output = work(lease.fence().clone(), cancel.child_token()) => {
                    lease.release().await;
                    return Some(output);
                }
                () = lease.lost() => tracing::warn!(name, token = lease.token(), "deposed; what was under way is dropped"),
            }
        }
    }
}

/// Says for as long as it lives that this process leads.
struct LeadingGuard<'a>(&'a watch::Sender<bool>);

impl<'a> LeadingGuard<'a> {
    fn take(leads: &'a watch::Sender<bool>) -> Self {
        leads.send_replace(true);
        Self(leads)
    }
}

impl Drop for LeadingGuard<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Caller, Role};
    use crate::bus::Bus;
    use std::sync::Arc;
    use tokio::sync::mpsc;

    type Told = mpsc::UnboundedReceiver<(&'static str, FencingToken)>;

    type Candidate = (Leases, CancellationToken, Arc<watch::Sender<bool>>);

    /// Two who want to lead, and who does.
    fn two() -> ([Candidate; 2], Told) {
        let bus = Bus::local("c", Caller::new(Role::Scheduler, "x"));
        let (tell, told) = mpsc::unbounded_channel();
        let candidates = ["a", "b"].map(|name| {
            let (leases, cancel, leads) = (bus.leases(1).held_by(name), CancellationToken::new(), Arc::new(watch::Sender::new(false)));
            let (l, c, w, tell) = (leases.clone(), cancel.clone(), leads.clone(), tell.clone());
            tokio::spawn(async move {
                let work = |fence, stop: CancellationToken| {
                    tell.send((name, fence)).unwrap();
                    async move { stop.cancelled().await }
                };
                l.lead("s", LeaseOptions::default(), &c, &w, work).await
            });
            (leases, cancel, leads)
        });
        (candidates, told)
    }

    #[tokio::test(start_paused = true)]
    async fn one_leads_and_another_follows_when_it_stops() {
        let ([a, b], mut told) = two();
        let (first, fence) = told.recv().await.unwrap();
        assert!(*a.2.borrow() && !*b.2.borrow());
        a.1.cancel();
        let (second, later) = told.recv().await.unwrap();
        assert_eq!((first, second), ("a", "b"));
        assert!(!*a.2.borrow() && *b.2.borrow());
        assert!(a.0.check(&fence).await.is_err());
        b.0.check(&later).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_deposed_stops_and_stands_by() {
        let ([a, b], mut told) = two();
        told.recv().await.unwrap();
        // somebody of the same name takes it, then goes
        let usurper = a.0.acquire("s", LeaseOptions { inherit: true, ..LeaseOptions::default() }).await;
        a.2.subscribe().wait_for(|leads| !leads).await.unwrap();
        assert!(!*b.2.borrow());
        usurper.release().await;
        told.recv().await.unwrap();
        assert!(*a.2.borrow() != *b.2.borrow());
    }
}
