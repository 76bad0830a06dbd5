//! The generic cell rate algorithm as a script: Redis runs nothing else meanwhile, and it is Redis' own clock.

use std::sync::LazyLock;
use std::time::Duration;

use burgeon_core::{Ctx, Error, Result};
use burgeon_redis::{Redis, Script, Value};

/// Of keys, so that they meet nobody else's.
const PREFIX: &str = "burgeon:limit:";

/// `KEYS[1]` holds when the allowance is whole again, in microseconds since 1970, and expires then. `ARGV`: the price and the burst
/// in microseconds. Answers 1 and how far the key is ahead, or 0 and how long to wait. What lies further ahead than a burst was
/// written before the clock was set back. The numbers stay below 2^53, which Lua holds exactly, until the year 2255.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000000 + time[2]
         local price, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
         local ahead = tonumber(redis.call('GET', KEYS[1]) or 0) - now
         if ahead < 0 or ahead > burst then ahead = 0 end
         ahead = ahead + price
         if ahead > burst then return {0, ahead - burst} end
         redis.call('SET', KEYS[1], string.format('%.0f', now + ahead), 'PX', math.max(1, math.ceil(ahead / 1000)))
         return {1, ahead}",
    )
});

/// How far ahead the key then is, in microseconds, or how long to wait.
pub(super) async fn ask(
    redis: &Redis,
    ctx: &Ctx,
    key: &str,
    price: i64,
    burst: i64,
) -> Result<std::result::Result<i64, Duration>> {
    let call = TAKE.call().key(format!("{PREFIX}{key}")).number(price).number(burst);
    match redis.run(ctx, &call).await?.array()?.as_slice() {
        [Value::Int(1), Value::Int(ahead)] => Ok(Ok(*ahead)),
        [Value::Int(0), Value::Int(wait)] => Ok(Err(Duration::from_micros(wait.unsigned_abs()))),
        _ => Err(Error::internal("the script of shared limits answered otherwise than it is written")),
    }
}
