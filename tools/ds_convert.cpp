#include "base/commands/convert.h"

int main(int argc, char** argv) {
  ds::commands::ConvertCommand options;
  return ds::core::run_tool(
      {.name = "ds-convert",
       .summary = "look at, compare, check and convert checkpoints",
       .description = "Shows what a checkpoint holds and how it came to be, finds where two differ, computes all digests anew, or writes a checkpoint "
                      "again without what is not needed any more. By the extensions of input and output it converts to and from the weights of other "
                      "programs. What it wrote so comes back as the same model; weights from elsewhere need --arch. A folder as "
                      "Hugging Face's save_pretrained writes it says itself what it is: config.json, weights in one file or in shards, tokenizer, "
                      "labels and the modules of sentence-transformers become a checkpoint that ds-predict runs, and a checkpoint becomes such a "
                      "folder, with a model card. Every conversion is read back and "
                      "compared bit for bit.",
       .examples = {{"ds-convert model.h5 --inspect --format table", "sizes, tensors and the chain of commands that made it"},
                    {"ds-convert --diff a.h5 b.h5", "exit 0 if the models are equal, 5 if not"},
                    {"ds-convert --verify *.h5", "every digest anew, SHA-256 too"},
                    {"ds-convert model.h5 -o model.safetensors", "for other programs"},
                    {"ds-convert model.h5 -o model.onnx", "opset 17, batch and sequence of any length, int8 as QDQ"},
                    {"ds-convert net.onnx --labels names.txt -o net.h5", "ONNX from elsewhere, read by its nodes"},
                    {"ds-convert model.h5 -o model.ts --atol 1e-5", "TorchScript, for torch.jit.load; exit 5 where its outputs differ by more"},
                    {"ds-convert resnet18.safetensors --arch resnet18 --labels names.txt -o model.h5", "weights from elsewhere"},
                    {"ds-convert all-MiniLM-L6-v2/ -o minilm.h5", "a folder of Hugging Face, its tokenizer too"},
                    {"ds-convert model.h5 -o model/", "a folder that from_pretrained loads"},
                    {"ds-convert last.h5 --drop-state -o model.h5", "without the optimizer's state"}},
       .see_also = {"ds-train(1)", "ds-checkpoint(5)"},
       .command = "convert-torchscript",
       .formats = {"table"}},
      options, argc, argv);
}
