// Any bytes as comma-separated values: every record is told with its line, or one is refused as bad input.
#include "base/io/csv.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return ds_fuzz::refused_or_done(data, size, {ds::Exit::kInput}, [](const ds::io::Bytes& bytes) {
    ds::io::CsvReader reader({reinterpret_cast<const char*>(bytes.data), bytes.size}, "input.csv");
    std::vector<std::string> fields;
    std::size_t kept = 0;
    for (std::int64_t last = 0; reader.next(fields); last = reader.line()) {
      if (fields.empty() || reader.line() <= last) std::abort();
      for (const std::string& field : fields) kept += field.size();
    }
    if (kept > bytes.size) std::abort();
  });
}
