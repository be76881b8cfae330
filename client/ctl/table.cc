#include "client/ctl/table.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/ctl/escape.h"

namespace raftkv::ctl {
namespace {

std::string FormatRow(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  std::string line = "|";
  for (size_t i = 0; i < cells.size(); ++i) {
    absl::StrAppend(&line, " ", cells[i], std::string(widths[i] - DisplayWidth(cells[i]), ' '),
                    " |");
  }
  return line + "\n";
}

}  // namespace

size_t DisplayWidth(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string FormatTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> lines = {header};
  lines.insert(lines.end(), rows.begin(), rows.end());
  std::vector<size_t> widths(header.size(), 0);
  for (std::vector<std::string>& line : lines) {
    CHECK_EQ(line.size(), header.size());
    for (size_t i = 0; i < line.size(); ++i) {
      line[i] = EscapeControls(line[i], Newlines::kEscape);
      widths[i] = std::max(widths[i], DisplayWidth(line[i]));
    }
  }
  std::string border = "+";
  for (const size_t width : widths) {
    absl::StrAppend(&border, std::string(width + 2, '-'), "+");
  }
  border += "\n";
  std::string table = absl::StrCat(border, FormatRow(lines[0], widths), border);
  for (size_t i = 1; i < lines.size(); ++i) {
    table += FormatRow(lines[i], widths);
  }
  return table + border;
}

}  // namespace raftkv::ctl
