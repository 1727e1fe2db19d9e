// Architectures that are timm's: tensors, sizes and names. (torchvision's other families have other tensor names in timm.)
#include "base/models/hf.h"

namespace ds::models::hf_timm {

[[maybe_unused]] const HfTimm kNames[] = {
    {"resnet18", "resnet18"},
    {"resnet34", "resnet34"},
    {"resnet50", "resnet50"},
    {"resnet101", "resnet101"},
    {"resnet152", "resnet152"},
    {"wide_resnet50_2", "wide_resnet50_2"},
    {"wide_resnet101_2", "wide_resnet101_2"},
    {"resnext50_32x4d", "resnext50_32x4d"},
    {"resnext101_32x8d", "resnext101_32x8d"},
    {"resnext101_64x4d", "resnext101_64x4d"},
    {"densenet121", "densenet121"},
    {"densenet161", "densenet161"},
    {"densenet169", "densenet169"},
    {"densenet201", "densenet201"},
    {"deit_tiny_patch16_224", "deit_tiny_patch16_224"},
    {"deit_small_patch16_224", "deit_small_patch16_224"},
    {"deit_base_patch16_224", "deit_base_patch16_224"},
    {"deit_tiny_distilled_patch16_224", "deit_tiny_distilled_patch16_224"},
    {"deit_small_distilled_patch16_224", "deit_small_distilled_patch16_224"},
    {"deit_base_distilled_patch16_224", "deit_base_distilled_patch16_224"},
    {"mixer_s32_224", "mixer_s32_224"},
    {"mixer_s16_224", "mixer_s16_224"},
    {"mixer_b32_224", "mixer_b32_224"},
    {"mixer_b16_224", "mixer_b16_224"},
    {"mixer_l32_224", "mixer_l32_224"},
    {"mixer_l16_224", "mixer_l16_224"},
};

}  // namespace ds::models::hf_timm
