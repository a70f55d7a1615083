"""PCSNet on ONNX Runtime: on the processor, or with its WebGPU execution provider (package onnxruntime-webgpu)."""

import runner

PROVIDERS = {"cpu": "CPUExecutionProvider", "webgpu": "WebGpuExecutionProvider"}


def main() -> None:
    options = runner.options(__doc__, lambda parser: parser.add_argument("--device", choices=PROVIDERS, default="cpu"))
    engine, provider = f"onnxruntime-{options.device}", PROVIDERS[options.device]
    try:
        import onnxruntime
    except ImportError as error:
        runner.skip(engine, error)
    if provider not in onnxruntime.get_available_providers():
        runner.skip(engine, f"this onnxruntime {onnxruntime.__version__} has no {provider}")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    if options.device == "webgpu":
        # Without this, operations or the whole network would move to the processor without a word.
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(str(options.folder / "network.onnx"), settings, providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions have no common class
        # The cause is the provider's own error; what follows is that running on the processor instead was refused.
        # In front of the message stand the place in ONNX Runtime's sources and the condition.
        runner.skip(engine, str(error.__cause__ or error).rpartition(" was false. ")[2])
    if session.get_providers()[0] != provider:
        runner.skip(engine, f"it runs on {session.get_providers()[0]} instead")

    measured = runner.measure(lambda image: session.run(["map"], {"image": image})[0], options)
    adapter = runner.vulkan_device() if options.device == "webgpu" else runner.processor(options.threads)
    runner.report(engine, onnxruntime.__version__, adapter, measured)


if __name__ == "__main__":
    main()
