# The tests that need no ROS, on the Python of Lyrical (3.14), warnings as errors.
#
#   docker build -f docker/python314.Dockerfile .
#
# Debian's next release (testing) has this Python and a torch for it; the other libraries are wheels.
# Without an engine: python scripts/run_dockerfile.py docker/python314.Dockerfile --root FOLDER
FROM debian:testing-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
       ca-certificates cmake g++ git make python3-torch python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home robot && mkdir /stvg_ros /venv && chown robot:robot /stvg_ros /venv
USER robot
WORKDIR /stvg_ros
COPY --chown=robot:robot requirements requirements
RUN python3 -m venv --system-site-packages /venv
RUN /venv/bin/python -m pip install --no-compile --requirement requirements/library.txt \
    --requirement requirements/serving.txt --requirement requirements/development.txt \
    --requirement requirements/parser.txt
RUN /venv/bin/python -m pip install --no-compile --no-deps --require-hashes \
    --requirement requirements/people.txt --requirement requirements/body.txt \
    --requirement requirements/appearance.txt
COPY --chown=robot:robot . .
RUN /venv/bin/python -m pip install --no-compile --no-deps .
# Those that need ROS 2, the other folder of a checkout or a browser are skipped. One thread in each
# process, as in `make test`: several for each core wait for one another.
ENV HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
RUN /venv/bin/pytest -W error --numprocesses=auto --dist=loadfile test
