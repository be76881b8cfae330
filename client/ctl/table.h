// Text tables with +---+ borders.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace raftkv::ctl {

// In code points. REQUIRES: text is UTF-8.
size_t DisplayWidth(const std::string& text);

// A table whose columns are as wide as their widest cell, counted in code points. Control
// characters in cells are escaped, so that each row is one line. REQUIRES: every row has as many
// cells as `header`.
std::string FormatTable(const std::vector<std::string>& header,
                        const std::vector<std::vector<std::string>>& rows);

}  // namespace raftkv::ctl
