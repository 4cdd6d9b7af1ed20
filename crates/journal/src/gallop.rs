//! Finding the end of a gapless run of numbers with logarithmically many questions.

/// The largest sequence that the tag's ten digits can write.
pub(crate) const MAX_SEQUENCE: u64 = 9_999_999_999;

/// The last number of the run that starts at or before `known` (0: nothing is known to exist), asking `exists` about others.
///
/// Gallops upwards from `known`, then halves the last stride (Bentley & Yao 1976, "An almost optimal algorithm for unbounded
/// searching"). One question when `known` is the end; about 2 log2(n) when it is n behind. A gap in the run makes it end there;
/// `history --verify` finds what lies beyond.
pub(crate) async fn end_of_run<E, Answer>(known: u64, mut exists: impl FnMut(u64) -> Answer) -> Result<u64, E>
where
    Answer: Future<Output = Result<bool, E>>,
{
    let mut there = known;
    let mut stride = 1_u64;
    let mut missing = loop {
        let probe = there.saturating_add(stride);
        if probe > MAX_SEQUENCE {
            break MAX_SEQUENCE + 1;
        }
        if !exists(probe).await? {
            break probe;
        }
        there = probe;
        stride = stride.saturating_mul(2);
    };
    while missing - there > 1 {
        let middle = there + (missing - there) / 2;
        if exists(middle).await? {
            there = middle;
        } else {
            missing = middle;
        }
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    async fn find(known: u64, end: u64) -> (u64, u32) {
        let mut asked = 0;
        let found = end_of_run(known, |n| {
            asked += 1;
            std::future::ready(Ok::<_, Infallible>(n <= end))
        })
        .await;
        (found.unwrap(), asked)
    }

    #[tokio::test]
    async fn finds_the_end_with_few_questions() {
        for end in [0, 1, 2, 3, 7, 8, 118, 1000, 123_456] {
            let (found, asked) = find(0, end).await;
            assert_eq!(found, end);
            assert!(asked <= 2 * (u64::BITS - end.leading_zeros()) + 2, "{asked} questions for {end}");
            assert_eq!(find(end, end).await, (end, 1));
        }
        assert_eq!(find(MAX_SEQUENCE - 1, u64::MAX).await.0, MAX_SEQUENCE);
    }

    #[tokio::test]
    async fn an_error_is_not_the_end() {
        let answer = end_of_run(3, |n| std::future::ready(if n == 4 { Ok(true) } else { Err(n) })).await;
        assert_eq!(answer, Err(6));
    }
}
