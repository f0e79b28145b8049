// The cp.async of a warp complete group by group, for each lane on its own, and
// no earlier than a wait asks for.
#include "async/CopyGroups.h"

#include <gtest/gtest.h>

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

} // namespace
