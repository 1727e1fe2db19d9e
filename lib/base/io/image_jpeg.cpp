#include <csetjmp>
#include <cstdio>
#include <cstring>

// After cstdio, which it needs.
#include <jpeglib.h>
#include <jerror.h>

#include "base/io/image_codecs.h"

namespace ds::io {
namespace {

constexpr int kMostScans = 200;                 ///< of a progressive picture; each is a pass over all of it
constexpr std::int64_t kMostMemory = 1L << 30;  ///< bytes: coefficients of a progressive picture

class Jpeg final : public Decoder {
 public:
  Jpeg(const std::uint8_t* data, std::size_t bytes) : data_(data), bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    info_.client_data = this;
  }
  ~Jpeg() override { jpeg_destroy_decompress(&info_); }  // as good for one that was never made
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  bool header() override {
    if (setjmp(jump_)) return false;
    jpeg_create_decompress(&info_);
    info_.mem->max_memory_to_use = kMostMemory;
    jpeg_mem_src(&info_, data_, bytes_);
    info_.src->fill_input_buffer = on_end;  // jpeg_mem_src would go on with an end that is not there
    progress_.progress_monitor = on_progress;
    info_.progress = &progress_;
    jpeg_read_header(&info_, TRUE);
    width = info_.image_width;
    height = info_.image_height;
    channels = info_.num_components;
    if (channels != 1 && channels != 3 && channels != 4) stop("neither grey, nor of three or four colours");
    info_.out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 4 ? JCS_CMYK : JCS_RGB;
    return true;
  }

  bool rows(std::uint8_t** rows) override {
    if (setjmp(jump_)) return false;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height)
      jpeg_read_scanlines(&info_, rows + info_.output_scanline, info_.output_height - info_.output_scanline);
    jpeg_finish_decompress(&info_);
    return true;
  }

 private:
  static Jpeg& of(j_common_ptr info) { return *static_cast<Jpeg*>(info->client_data); }

  [[noreturn]] void stop(const char* text) {
    std::snprintf(error, sizeof error, "%s", text);
    std::longjmp(jump_, 1);
  }
  [[noreturn]] static void on_error(j_common_ptr info) {
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    of(info).stop(text);
  }
  /// Warnings that leave wrong pixels are errors; many a sound file has bytes too many or an odd marker.
  static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
      case JWRN_EXTRANEOUS_DATA:
      case JWRN_ADOBE_XFORM:
      case JWRN_JFIF_MAJOR:
      case JWRN_TOO_MUCH_DATA:
        return;
      default:
        on_error(info);
    }
  }
  static boolean on_end(j_decompress_ptr info) { of(reinterpret_cast<j_common_ptr>(info)).stop("truncated"); }
  static void on_progress(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) of(info).stop("more scans than any encoder writes");
  }

  const std::uint8_t* data_;
  std::size_t bytes_;
  jpeg_decompress_struct info_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  std::jmp_buf jump_ = {};
};

}  // namespace

std::unique_ptr<Decoder> jpeg_decoder(const std::uint8_t* data, std::size_t bytes) {
  return std::make_unique<Jpeg>(data, bytes);
}

}  // namespace ds::io
