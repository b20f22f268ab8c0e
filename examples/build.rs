//! Compiles the protocols of `tonic-ingest` and `batch-grpc`, in Rust: no `protoc` is needed.

#![allow(clippy::print_stdout, reason = "a build script: this is how it speaks to cargo")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (file, folder) in [("ingest.proto", "tonic-ingest"), ("catalog.proto", "batch-grpc")] {
        println!("cargo::rerun-if-changed={folder}/{file}");
        let descriptors = protox::compile([file], [folder])?;
        tonic_prost_build::configure().compile_fds(descriptors)?;
    }
    Ok(())
}
