// How many threads a call gets that asks for none: what the affinity mask and a container's quota allow.
#include <clipon/parallel/parallel_for.hpp>
#include <fstream>
#include <string>

#include "support.hpp"

using clipon::parallel::quota_cpus;

TEST_CASE("a container's quota in CPUs, rounded up; none where it sets no limit or says nothing that is one") {
  CHECK(quota_cpus("100000 100000\n") == 1);
  CHECK(quota_cpus("50000 100000\n") == 1);
  CHECK(quota_cpus("150000 100000\n") == 2);
  CHECK(quota_cpus("200000 100000") == 2);
  CHECK(quota_cpus("1600000 100000") == 16);
  CHECK(quota_cpus("9000000000000000000 1") == 2147483647);
  for (const char* none : {"max 100000\n", "", "\n", "100000", "0 100000", "-100000 100000", "100000 0", "some text"}) {
    CHECK(quota_cpus(none) == 0);
  }
}

#if defined(__linux__)
TEST_CASE("threads: as many as the affinity mask and the quota allow") {
  cpu_set_t all;
  REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
  std::string quota;
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::getline(file, quota);
  const int most = quota_cpus(quota) > 0 ? quota_cpus(quota) : CPU_COUNT(&all);
  const bool serial = CLIPON_PARALLEL_IS == CLIPON_PARALLEL_IS_serial;
  cpu_set_t some;
  CPU_ZERO(&some);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {  // one CPU, two, ... all
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_SET(cpu, &some);
    REQUIRE(sched_setaffinity(0, sizeof some, &some) == 0);
    const int found = clipon::parallel::available_threads();
    sched_setaffinity(0, sizeof all, &all);
    CHECK(found == (serial ? 1 : std::min(CPU_COUNT(&some), most)));
  }
}
#endif
