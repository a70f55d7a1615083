//! Compiles the C side of the JPEG decoder.

fn main() {
    println!("cargo::rerun-if-changed=src/image/decode/jpeg.c");
    // The browser's build has a decoder in Rust.
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        return;
    }
    let headers = std::env::var_os("DEP_JPEG_INCLUDE").expect("mozjpeg-sys tells where libjpeg's headers are");
    cc::Build::new().file("src/image/decode/jpeg.c").includes(std::env::split_paths(&headers)).compile("pcsnet_jpeg");
}
