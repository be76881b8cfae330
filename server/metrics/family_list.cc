#include "server/metrics/family_list.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/clock.h"

namespace raftkv::server {
namespace {

prometheus::ClientMetric::Histogram ToPrometheus(const Histogram& histogram, double unit) {
  prometheus::ClientMetric::Histogram result;
  result.sample_count = histogram.count();
  result.sample_sum = static_cast<double>(histogram.sum()) / unit;
  uint64_t cumulative = 0;
  for (size_t i = 0; i <= histogram.bounds(); ++i) {
    cumulative += histogram.bucket(i);
    const double bound = i < histogram.bounds() ? static_cast<double>(histogram.bound(i)) / unit
                                                : std::numeric_limits<double>::infinity();
    result.bucket.push_back({.cumulative_count = cumulative, .upper_bound = bound});
  }
  return result;
}

}  // namespace

void FamilyList::Gauge(const std::string& name, const std::string& help, double value) {
  Gauge(name, help, Samples{Sample({}, value)});
}

void FamilyList::Gauge(const std::string& name, const std::string& help, const Samples& samples) {
  Add(name, help, prometheus::MetricType::Gauge, samples);
}

void FamilyList::Counter(const std::string& name, const std::string& help, double value) {
  Counter(name, help, Samples{Sample({}, value)});
}

void FamilyList::Counter(const std::string& name, const std::string& help, const Samples& samples) {
  Add(name, help, prometheus::MetricType::Counter, samples);
}

void FamilyList::Distribution(const std::string& name, const std::string& help, double unit,
                              const Histograms& histograms) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Histogram;
  for (const auto& [labels, histogram] : histograms) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label = labels;
    metric.histogram = ToPrometheus(histogram, unit);
  }
  families_.push_back(std::move(family));
}

void FamilyList::Durations(const std::string& name, const std::string& help,
                           const Histogram& histogram) {
  Distribution(name, help, kNanosPerSecond, {{Labels(), histogram}});
}

void FamilyList::Add(const std::string& name, const std::string& help, prometheus::MetricType type,
                     const Samples& samples) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  for (const Sample& sample : samples) {
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label = sample.labels;
    (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        sample.value;
  }
  families_.push_back(std::move(family));
}

}  // namespace raftkv::server
