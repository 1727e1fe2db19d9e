// Changes of light and colour, as PIL and torchvision have them. Pixels are float32 planes [C, H, W] of 0..255; in and out are not the same.
#pragma once
#include "engine/data/augment.h"

namespace ds::data {

/// out = in * factor, within 0..255.
void brightness(const float* in, float* out, const Shape& shape, double factor);
/// A blend of factor with the picture's grey (0.2989 R + 0.587 G + 0.114 B), pixel by pixel; of one channel nothing changes.
void saturation(const float* in, float* out, const Shape& shape, double factor);
/// The same with the mean of that grey.
void contrast(const float* in, float* out, const Shape& shape, double factor);
/// The same with the picture smoothed by [1 1 1; 1 5 1; 1 1 1] / 13, borders as they are.
void sharpness(const float* in, float* out, const Shape& shape, double factor);
/// Keeps the upper `bits` of 8.
void posterize(const float* in, float* out, const Shape& shape, int bits);
/// 255 - in from the threshold on.
void solarize(const float* in, float* out, const Shape& shape, double threshold);
/// Stretches each channel to 0..255.
void autocontrast(const float* in, float* out, const Shape& shape);
/// Makes each channel's histogram even.
void equalize(const float* in, float* out, const Shape& shape);

}  // namespace ds::data
