//! What etcd and the core of kube-apiserver are: the store on JetStream with its cache and watch feed, and the one pipeline that each read and write passes.
pub mod store;
