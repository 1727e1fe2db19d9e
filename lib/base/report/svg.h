// Pictures as text: a writer of SVG elements, axes with round ticks, and small bitmaps.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ds::report {

/// Text for an element or an attribute of HTML and XML: & < > " ' escaped; bytes that are not UTF-8, and characters that XML
/// forbids, become U+FFFD.
std::string escape(std::string_view text);
/// The same without escaping: for a template that escapes.
std::string clean(std::string_view text);
/// At most `most` characters, the last one an ellipsis where some were cut.
std::string shortened(const std::string& text, std::size_t most);
/// Characters (code points) of UTF-8 text.
std::size_t characters(std::string_view text);

/// A coordinate: at most `digits` decimals, no trailing zeros, no "-0".
std::string coordinate(double value, int digits = 1);

/// A scale with ticks. `at` maps low to 0 and high to 1.
struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<double> ticks;  ///< within [low, high]
  double at(double value) const;
};

/// Ticks are multiples of 1, 2 or 5 times a power of ten, about `wanted` of them; the range is widened to whole ticks.
/// An empty range is widened around its value. Values that are not finite count as 0.
Axis linear_axis(double low, double high, int wanted = 5);
/// Ticks at 1, 2 and 5 times powers of ten (of powers of ten alone beyond three decades), round ones in equal steps where the range has fewer
/// than two of those. `low` > 0.
Axis logarithmic_axis(double low, double high);
/// A tick's number with as many decimals as the step between ticks needs: "0.02", "150", "2 M".
std::string tick_text(double value, double step);

/// Collects elements of one picture. Classes name colours of the page's style, so that light and dark follow by themselves.
class Svg {
 public:
  /// `title` is the alternative text; "" for a picture that tells nothing that the text beside it does not.
  Svg(double width, double height, const std::string& title);

  void line(double x1, double y1, double x2, double y2, const std::string& classes);
  /// `title` is shown when one points at it.
  void rectangle(double x, double y, double width, double height, const std::string& classes, const std::string& title = "", double radius = 0,
                 double opacity = 1);
  /// `anchor`: start, middle or end. `turned`: degrees around (x, y).
  void text(double x, double y, const std::string& text, const std::string& classes, const char* anchor = "start", double turned = 0);
  void path(const std::string& d, const std::string& classes, const std::string& title = "", double opacity = 1);
  void polyline(const std::vector<std::pair<double, double>>& points, const std::string& classes);
  /// Shape 0..3: circle, square, triangle, diamond: colours alone tell too little.
  void marker(int shape, double x, double y, double radius, const std::string& classes, const std::string& title = "");
  /// The whole element.
  std::string str() const { return head_ + body_ + "</svg>"; }

 private:
  void element(const std::string& start, const std::string& classes, const std::string& title, double opacity);
  std::string head_, body_;
};

/// A PNG of 8-bit pixels in row-major order, `channels` 1 (grey) or 3 (RGB, interleaved).
std::string png(const std::vector<std::uint8_t>& pixels, std::int64_t width, std::int64_t height, int channels);
/// "data:image/png;base64,...".
std::string png_uri(const std::vector<std::uint8_t>& pixels, std::int64_t width, std::int64_t height, int channels);

}  // namespace ds::report
