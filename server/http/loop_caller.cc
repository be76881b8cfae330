#include "server/http/loop_caller.h"

#include <glog/logging.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/deadline.h"
#include "kv/errors.h"
#include "server/loop/mailbox.h"

namespace raftkv::server {
namespace {

using google::protobuf::Message;

// How often a waiting thread looks whether it still has to.
constexpr MonotonicNanos kAnswerLookNanos = 100 * kNanosPerMilli;

using AnswerMailbox = Mailbox<absl::StatusOr<ApiCaller::Answer>>;

// One call on the loop. Deletes itself when it is answered.
class WaitedCall final : public ApiCall {
 public:
  WaitedCall(const ClientService::Method& method, MonotonicNanos deadline,
             CallAccounting* accounting, EventLoop* loop, std::shared_ptr<AnswerMailbox> mailbox,
             uint64_t request_bytes)
      : method_(method),
        unsendable_(method.unsendable),
        deadline_(deadline),
        accounting_(*accounting),
        begun_at_(accounting->clock->Now()),
        loop_(*loop),
        mailbox_(std::move(mailbox)) {
    ++accounting_.in_flight;
    method_.counts->OnStarted(request_bytes);
  }

  MonotonicNanos AnswerBy() const override {
    const MonotonicNanos now = accounting_.clock->Now();
    return deadline_ - AnswerMargin(std::max<MonotonicNanos>(deadline_ - now, 0));
  }

  void SetUnsendable(absl::Status (*unsendable)()) override { unsendable_ = unsendable; }

  void Finish(const Message& response) override {
    const uint64_t bytes = response.ByteSizeLong();
    if (!accounting_.backlog.HasRoomFor(bytes)) {
      Fail(unsendable_());
      return;
    }
    ApiCaller::Answer answer;
    if (bytes >= kSmallAnswerBytes) {
      answer.room = MakeRoom(bytes);
    }
    // Written as text on the other thread, where it holds nobody up.
    answer.message.reset(response.New());
    answer.message->CopyFrom(response);
    Answer(std::move(answer), bytes);
  }

  void Fail(const absl::Status& error) override { Answer(error, 0); }

 private:
  // Whoever holds it gives it back in bounded time (HttpServer), so nothing has to give it up.
  std::shared_ptr<void> MakeRoom(uint64_t bytes) {
    const AnswerBacklog::Ticket ticket = accounting_.backlog.Add(bytes, kNever, [] {});
    return {nullptr, [ticket, accounting = &accounting_, loop = &loop_](std::nullptr_t) {
              loop->Post([ticket, accounting] { accounting->backlog.Remove(ticket); });
            }};
  }

  void Answer(absl::StatusOr<ApiCaller::Answer> answer, uint64_t bytes) {
    method_.counts->OnHandled(answer.status().code(), accounting_.clock->Now() - begun_at_, bytes);
    if (accounting_.requests != nullptr) {
      accounting_.requests->OnAnswered(method_.kind, begun_at_, !answer.ok());
    }
    mailbox_->Put(std::move(answer));
    --accounting_.in_flight;
    delete this;
  }

  const ClientService::Method& method_;
  absl::Status (*unsendable_)();
  const MonotonicNanos deadline_;
  CallAccounting& accounting_;
  const MonotonicNanos begun_at_;
  EventLoop& loop_;
  const std::shared_ptr<AnswerMailbox> mailbox_;
};

}  // namespace

LoopCaller::LoopCaller(const std::vector<ClientService*>& services, EventLoop* loop,
                       CallAccounting* accounting, const MonotonicClock* clock)
    : loop_(*loop), accounting_(*accounting), clock_(*clock) {
  for (ClientService* service : services) {
    for (const ClientService::Method& method : service->methods()) {
      methods_.emplace(method.path, &method);
    }
  }
}

absl::StatusOr<ApiCaller::Answer> LoopCaller::Call(const std::string& path,
                                                   std::unique_ptr<Message> request,
                                                   MonotonicNanos timeout) {
  const ClientService::Method& method = *methods_.at(path);
  CHECK(request->GetDescriptor() == method.request->GetDescriptor()) << path;
  const MonotonicNanos deadline = DeadlineAfter(clock_.Now(), timeout);
  const auto mailbox = std::make_shared<AnswerMailbox>();
  // Shared, because what is posted must be copyable.
  loop_.Post([this, &method, deadline, mailbox,
              request = std::shared_ptr<Message>(std::move(request))] {
    method.handle(
        new WaitedCall(method, deadline, &accounting_, &loop_, mailbox, request->ByteSizeLong()),
        request.get());
  });
  const MonotonicNanos give_up_at = DeadlineAfter(deadline, kGrace);
  while (!closed_ && clock_.Now() < give_up_at) {
    if (auto answer = mailbox->Take(kAnswerLookNanos); answer.has_value()) {
      return *std::move(answer);
    }
  }
  return absl::DeadlineExceededError(
      "the member does not answer: what it was asked to write may have happened, or may yet");
}

}  // namespace raftkv::server
