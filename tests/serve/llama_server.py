"""Start llama.cpp's own server over a GGUF: `python llama_server.py FILE`. Prints its address, ends with stdin."""

import sys

import xllamacpp

from ascl.chat.dialects.smollm2 import SMOLLM2


def main() -> None:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.model_alias = {"model"}
    parameters.n_ctx, parameters.n_parallel, parameters.port = 2048, 2, 0
    parameters.cpuparams.n_threads = 1
    parameters.use_jinja, parameters.chat_template = True, SMOLLM2.template
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
