# The main job for make: what changed is redone, with all that came from it, and nothing else.
#
#   make -f scripts/pipeline.mk             everything, into runs/pipeline
#   make -f scripts/pipeline.mk RUN=/tmp/x EPOCHS=1 TRIALS=2
#   make -f scripts/pipeline.mk clean       remove that folder
#   make -f scripts/pipeline.mk help        show this
#
# BIN: the folder of the tools (default build/bin). EPOCHS: of every training (default: as configured). TRIALS: of the search.
# A path with a space in it is more than make can do.

ROOT := $(realpath $(dir $(realpath $(lastword $(MAKEFILE_LIST))))..)
BIN ?= $(or $(DS_BUILD_DIR),$(ROOT)/build)/bin
RUN ?= $(ROOT)/runs/pipeline
EPOCHS ?= $(DS_EPOCHS)
TRIALS ?= $(or $(DS_TRIALS),6)

CONFIG := $(ROOT)/configs/mnist5k.yaml
SPACE := $(ROOT)/configs/spaces/mnist5k-small.yaml
epochs := $(if $(EPOCHS),--epochs $(EPOCHS))
finetune := $(or $(EPOCHS),4)
CHECKPOINTS := $(addprefix $(RUN)/,base.h5 pruned.h5 distilled.h5 int8.h5)

ifeq ($(filter clean help,$(MAKECMDGOALS)),)
$(if $(wildcard $(BIN)/ds-train),,$(error $(BIN) has no ds-train: run scripts/build.sh first, or set BIN))
endif
export PATH := $(abspath $(BIN)):$(PATH)
.DELETE_ON_ERROR:
.PHONY: all clean help

all: $(RUN)/bench.txt $(RUN)/report.html
	@cat $(RUN)/bench.txt
	@echo "open $(RUN)/report.html"

$(RUN):
	mkdir -p $@

# A search that was stopped goes on; another space, or another config beneath it, is another search.
$(RUN)/study.started: $(SPACE) $(CONFIG) | $(RUN)
	rm -rf $(RUN)/study
	touch $@

$(RUN)/best.yaml: $(RUN)/study.started
	ds-tune run --space $(SPACE) --trials $(TRIALS) -o $(RUN)/study -- ds-train -c {config} $(epochs)
	ds-tune best $(RUN)/study > $@.new
	mv $@.new $@

$(RUN)/base.h5: $(CONFIG) $(RUN)/best.yaml
	ds-train -c $(CONFIG) -c $(RUN)/best.yaml $(epochs) -f -o $@

$(RUN)/pruned.h5: $(RUN)/base.h5
	ds-prune $< --ratio 0.5 --finetune-epochs $(finetune) -f -o $@

$(RUN)/distilled.h5: $(RUN)/pruned.h5 $(RUN)/base.h5
	ds-distill $< --teacher $(RUN)/base.h5 --temperature 2.0 --soft-weight 0.7 --epochs $(finetune) -f -o $@

$(RUN)/int8.h5: $(RUN)/distilled.h5
	ds-quantize $< --method static -f -o $@

$(RUN)/bench.txt: $(RUN)/base.h5 $(RUN)/distilled.h5 $(RUN)/int8.h5
	ds-bench $^ --data mnist5k --format table > $@.new
	mv $@.new $@

$(RUN)/report.html: $(CHECKPOINTS)
	ds-report $^ -f -o $@

clean:
	rm -rf $(RUN)

help:
	@sed -n '/^[^#]/q; s/^# \{0,1\}//p' $(ROOT)/scripts/pipeline.mk
