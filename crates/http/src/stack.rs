//! temp
mod networks;
pub(crate) use networks::Networks;
pub(crate) fn headers_of(config: &crate::Config) -> Result<(), String> {
    let _ = config;
    Ok(())
}
