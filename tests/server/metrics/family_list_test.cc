#include "server/metrics/family_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <string>

#include "server/metrics/families.h"

namespace raftkv::server {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Text(const FamilyList& list) {
  return prometheus::TextSerializer().Serialize(list.families());
}

TEST(FamilyListTest, WritesAHistogramAsPrometheusReadsIt) {
  Histogram histogram(/*first_bound=*/kNanosPerMilli, /*bounds=*/2);
  histogram.Observe(kNanosPerMilli / 2);
  histogram.Observe(2 * kNanosPerMilli);
  histogram.Observe(kNanosPerSecond);
  FamilyList list;
  list.Distribution("d_seconds", "How long.", kNanosPerSecond, {{{{"peer", "n2"}}, histogram}});
  EXPECT_EQ(Text(list),
            "# HELP d_seconds How long.\n"
            "# TYPE d_seconds histogram\n"
            "d_seconds_count{peer=\"n2\"} 3\n"
            "d_seconds_sum{peer=\"n2\"} 1.0025\n"
            "d_seconds_bucket{peer=\"n2\",le=\"0.001\"} 1\n"
            "d_seconds_bucket{peer=\"n2\",le=\"0.002\"} 2\n"
            "d_seconds_bucket{peer=\"n2\",le=\"+Inf\"} 3\n");
}

TEST(FamilyListTest, AFamilyWithoutAValueIsStillNamed) {
  FamilyList list;
  list.Gauge("g", "Help.", FamilyList::Samples());
  EXPECT_EQ(Text(list), "# HELP g Help.\n# TYPE g gauge\n");
}

TEST(FamilyListTest, LabelsAreEscapedAndWholeNumbersStayWhole) {
  FamilyList list;
  list.Counter("c_total", "Help.", {{{{"name", "a\"b"}}, 1'000'000'000'000'000U}});
  EXPECT_THAT(Text(list), HasSubstr("c_total{name=\"a\\\"b\"} 1000000000000000\n"));
}

TEST(FamiliesTest, TheProcessIsAsTheSystemSeesIt) {
  FamilyList list;
  AddProcess(&list);
  double resident = 0;
  double open_fds = 0;
  double max_fds = 0;
  double start = 0;
  for (const prometheus::MetricFamily& family : list.families()) {
    const double value = family.metric.at(0).gauge.value;
    resident = family.name == "process_resident_memory_bytes" ? value : resident;
    open_fds = family.name == "process_open_fds" ? value : open_fds;
    max_fds = family.name == "process_max_fds" ? value : max_fds;
    start = family.name == "process_start_time_seconds" ? value : start;
  }
  EXPECT_GT(resident, 1e6);
  EXPECT_LT(resident, 1e10);
  EXPECT_GE(open_fds, 3);
  EXPECT_GT(max_fds, open_fds);
  const auto now = static_cast<double>(time(nullptr));
  EXPECT_GT(start, now - 600);
  EXPECT_LE(start, now + 2);
}

}  // namespace
}  // namespace raftkv::server
