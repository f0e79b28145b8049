// The cp.async of a warp complete group by group, for each lane on its own, and
// no earlier than a wait asks for.
#include "async/CopyGroups.h"

#include <gtest/gtest.h>

#include <random>

namespace {

using namespace vgpu;

class CopyGroupsTest : public testing::Test {
protected:
  void issue(uint64_t name, LaneMask lanes) {
    AsyncCopy &copy = groups.issue();
    copy.flight = name;
    copy.lanes = lanes;
  }
  CopyGroups::Execute log() {
    return [this](AsyncCopy &copy, LaneMask lanes) { done.push_back({copy.flight, lanes}); };
  }
  using Done = std::vector<std::pair<uint64_t, LaneMask>>;

  CopyGroups groups;
  Done done;
};

TEST_F(CopyGroupsTest, WaitLeavesTheNewestGroups) {
  for (uint64_t name = 1; name <= 3; ++name) {
    issue(name, kAllLanes);
    groups.commit(kAllLanes);
  }
  groups.wait(kAllLanes, 1, log());
  EXPECT_EQ(done, (Done{{1, kAllLanes}, {2, kAllLanes}}));
  EXPECT_EQ(groups.pending().size(), 1u);
}

TEST_F(CopyGroupsTest, UncommittedCopiesWaitOnlyForAll) {
  issue(1, 0xf);
  groups.wait(kAllLanes, 0, log());
  EXPECT_TRUE(done.empty());
  groups.waitForAll(0x3, log());
  groups.waitForAll(kAllLanes, log());
  EXPECT_EQ(done, (Done{{1, 0x3}, {1, 0xc}}));
}

// Empty groups count, as pipelines without work left rely on.
TEST_F(CopyGroupsTest, EmptyGroupsCount) {
  issue(1, kAllLanes);
  groups.commit(kAllLanes);
  groups.commit(kAllLanes);
  groups.wait(kAllLanes, 2, log());
  EXPECT_TRUE(done.empty());
  groups.wait(kAllLanes, 1, log());
  EXPECT_EQ(done, (Done{{1, kAllLanes}}));
}

TEST_F(CopyGroupsTest, LanesHaveGroupsOfTheirOwn) {
  issue(1, kAllLanes);
  groups.commit(0x1);
  groups.wait(kAllLanes, 0, log());
  EXPECT_EQ(done, (Done{{1, 0x1}}));
}

// Whatever lanes issue, commit and wait for, each of them has a counter of its groups.
TEST_F(CopyGroupsTest, AgreeWithCountersOfLanes) {
  struct Copy {
    uint64_t name;
    LaneMask lanes;
    std::array<uint32_t, kWarpSize> group;
  };
  std::mt19937 random(1);
  auto someLanes = [&] {
    auto lanes = static_cast<LaneMask>(random());
    lanes |= static_cast<LaneMask>(random());
    return random() % 2 ? kAllLanes : lanes;
  };
  std::vector<Copy> copies;
  std::array<uint32_t, kWarpSize> open{};
  Done expected;
  for (uint64_t step = 1; step < 2000; ++step) {
    LaneMask lanes = someLanes();
    uint32_t allowed = random() % 4, choice = random() % 5;
    if (choice < 2) {
      issue(step, lanes);
      copies.push_back({step, lanes, open});
    } else if (choice < 4) {
      groups.commit(lanes);
      for (int lane = 0; lane < kWarpSize; ++lane)
        open[lane] += lanes >> lane & 1;
    } else {
      groups.wait(lanes, allowed, log());
      for (Copy &copy : copies) {
        LaneMask now = 0;
        for (int lane = 0; lane < kWarpSize; ++lane)
          if (open[lane] - copy.group[lane] > allowed)
            now |= copy.lanes & lanes & LaneMask{1} << lane;
        copy.lanes &= ~now;
        if (now)
          expected.push_back({copy.name, now});
      }
    }
    ASSERT_EQ(done, expected) << "step " << step;
  }
  EXPECT_GT(done.size(), 500u);
}

} // namespace
