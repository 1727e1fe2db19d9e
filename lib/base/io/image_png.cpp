#include <png.h>

#include <cstdio>
#include <cstring>
#include <new>

#include "base/io/image_codecs.h"

namespace ds::io {
namespace {

class Png final : public Decoder {
 public:
  Png(const std::uint8_t* data, std::size_t bytes, std::int64_t most_side) : data_(data), bytes_(bytes), limit_(most_side) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, &info_, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, this, on_read);
    // The sizes are judged by the caller, who can say what they are.
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);
    png_set_chunk_malloc_max(png_, 8 << 20);
    png_set_chunk_cache_max(png_, 64);
  }
  ~Png() override { png_destroy_read_struct(&png_, &info_, nullptr); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;

  bool header() override {
    // The first chunk is at a fixed place; libpng would say of no pixels only that the header is invalid.
    if (bytes_ >= 24 && std::memcmp(data_ + 12, "IHDR", 4) == 0) {
      width = number(16);
      height = number(20);
      if (width == 0 || height == 0 || width > limit_ || height > limit_) return true;
    }
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_info(png_, info_);
    width = png_get_image_width(png_, info_);
    height = png_get_image_height(png_, info_);
    const int type = png_get_color_type(png_, info_);
    if (png_get_bit_depth(png_, info_) == 16) png_set_strip_16(png_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png_, info_) < 8) png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    channels = png_get_channels(png_, info_);
    if (png_get_rowbytes(png_, info_) != static_cast<std::size_t>(width * channels)) png_error(png_, "rows of an unexpected size");
    return true;
  }

  bool rows(std::uint8_t** rows) override {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

 private:
  std::int64_t number(std::size_t at) const {
    return std::int64_t{data_[at]} << 24 | std::int64_t{data_[at + 1]} << 16 | std::int64_t{data_[at + 2]} << 8 | data_[at + 3];
  }

  [[noreturn]] static void on_error(png_structp png, png_const_charp text) {
    auto* self = static_cast<Png*>(png_get_error_ptr(png));
    std::snprintf(self->error, sizeof self->error, "%s", text);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}  // of chunks that do not touch the pixels
  static void on_read(png_structp png, png_bytep to, std::size_t bytes) {
    auto* self = static_cast<Png*>(png_get_io_ptr(png));
    if (bytes > self->bytes_ - self->at_) png_error(png, "truncated");
    std::memcpy(to, self->data_ + self->at_, bytes);
    self->at_ += bytes;
  }

  const std::uint8_t* data_;
  std::size_t bytes_, at_ = 0;
  std::int64_t limit_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

std::unique_ptr<Decoder> png_decoder(const std::uint8_t* data, std::size_t bytes, std::int64_t most_side) {
  return std::make_unique<Png>(data, bytes, most_side);
}

}  // namespace ds::io
