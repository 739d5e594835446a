//! What a request takes while it waits: its future is moved into a task or a batch, once for each request.
use api_gateway::handler::Api;
use state::pipeline::Pipeline;
use state_client::Client;

fn of_two<A, B, F: Future>(_: impl FnOnce(A, B) -> F) -> usize {
    size_of::<F>()
}

fn of_three<A, B, C, F: Future>(_: impl FnOnce(A, B, C) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn requests_take_little_while_they_wait() {
    // what few requests need (a lease, a stream, the way over NATS) is on the heap: with it these were 12,720, 5,608 and 8,320 bytes; a path has room for what is passed on
    let sizes = [("the gateway's", of_three(Api::answer), 5_248), ("a client's", of_two(Client::call), 1_024), ("state's", of_three(Pipeline::handle), 1_024)];
    for (whose, size, bound) in sizes {
        assert!(size <= bound, "{whose} future of a request: {size} bytes, and at most {bound} are expected");
    }
}
