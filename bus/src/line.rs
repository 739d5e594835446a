//! A caller's line to the bus, which can be made bad on purpose while it is in use: simulated nodes fall silent, become slow or are cut off by it,
//! without anything of what they run being another than a real node's.
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What a line does with what is said and heard through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// It carries.
    #[default]
    Sound,
    /// It carries so much later.
    Slow(Duration),
    /// Nothing comes through, and nobody is told.
    Dead,
    /// It is gone, and who uses it notices.
    Cut,
}

/// The line is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the line is cut")]
pub struct LineCut;

/// A line. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<watch::Sender<Quality>>);

impl Line {
    /// Makes it so from now on, for what is under way too.
    pub fn set(&self, quality: Quality) {
        self.0.send_if_modified(|now| std::mem::replace(now, quality) != quality);
    }

    /// What it is now.
    pub fn quality(&self) -> Quality {
        *self.0.borrow()
    }

    /// Completes when something has come through.
    pub(crate) async fn pass(&self) -> Result<(), LineCut> {
        let mut quality = self.0.subscribe();
        loop {
            let now = *quality.borrow_and_update();
            let delay = match now {
                Quality::Sound => return Ok(()),
                Quality::Cut => return Err(LineCut),
                Quality::Slow(delay) => delay,
                Quality::Dead => Duration::MAX,
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => return Ok(()),
                Ok(()) = quality.changed() => {}
            }
        }
    }

    /// Completes when it is cut.
    pub(crate) async fn cut(&self) -> LineCut {
        let mut quality = self.0.subscribe();
        let cut = quality.wait_for(|q| *q == Quality::Cut).await.is_ok();
        // the line holds its own sender: it can't have ended
        if !cut {
            std::future::pending::<()>().await;
        }
        LineCut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn each_quality_does_what_it_says() {
        let line = Line::default();
        assert_eq!(line.pass().now_or_never(), Some(Ok(())));
        line.set(Quality::Slow(Duration::from_secs(2)));
        let start = Instant::now();
        assert_eq!((line.pass().await, start.elapsed()), (Ok(()), Duration::from_secs(2)));
        line.set(Quality::Dead);
        let passing = line.pass();
        tokio::pin!(passing);
        assert!(tokio::time::timeout(Duration::from_secs(3600), &mut passing).await.is_err());
        line.set(Quality::Sound);
        assert_eq!(passing.await, Ok(()), "what waited comes through when the line is well again");
        assert_eq!(line.cut().now_or_never(), None);
        line.set(Quality::Cut);
        assert_eq!((line.cut().await, line.pass().await), (LineCut, Err(LineCut)));
    }
}
