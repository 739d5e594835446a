//! The allocator of the process. With the system's, a quarter of a busy process's time is spent in it: bench/README.md has both.
use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3: for how many milliseconds free pages are kept before the system gets them back.
const PURGE_DELAY: c_int = 15;
/// Its default of a second keeps what a burst of requests had parsed: 17 MiB after a thousand pods, and no time is won by it.
const SHORTLY: c_long = 100;

/// Has free memory given back soon. To be called before there are other threads.
pub fn tune() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // Only the C interface has this. It writes an integer, and nobody else runs yet who could read it.
        #[allow(unsafe_code)]
        unsafe {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, SHORTLY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Options are numbers: this one's default is like no other's.
    #[test]
    #[allow(unsafe_code)]
    fn the_option_is_the_one_that_is_meant() {
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, 1000);
        tune();
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, SHORTLY);
    }
}
