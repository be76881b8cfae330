// FamilyList gathers metric families as prometheus-cpp writes them.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"

namespace raftkv::server {

// Names, helps and labels are ours, and so are UTF-8 without line breaks and backslashes, which the
// library would not escape in a help. Each name is given once. Confined to one thread.
class FamilyList final {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;
  struct Sample {
    template <typename Number>
    Sample(Labels of, Number number) : labels(std::move(of)), value(static_cast<double>(number)) {}

    Labels labels;
    double value;
  };
  using Samples = std::vector<Sample>;
  using Histograms = std::vector<std::pair<Labels, Histogram>>;

  void Gauge(const std::string& name, const std::string& help, double value);
  void Gauge(const std::string& name, const std::string& help, const Samples& samples);
  void Counter(const std::string& name, const std::string& help, double value);
  void Counter(const std::string& name, const std::string& help, const Samples& samples);
  // What was observed is divided by `unit`.
  void Distribution(const std::string& name, const std::string& help, double unit,
                    const Histograms& histograms);
  // As above, of nanoseconds in seconds.
  void Durations(const std::string& name, const std::string& help, const Histogram& histogram);

  // One without a value is written as its help and its type alone.
  const std::vector<prometheus::MetricFamily>& families() const { return families_; }

 private:
  void Add(const std::string& name, const std::string& help, prometheus::MetricType type,
           const Samples& samples);

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace raftkv::server
